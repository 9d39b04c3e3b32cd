package httpapi

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/ledger"
)

// Options configure an API. Zero values mean the defaults named here.
type Options struct {
	// Backend is the node that is served. It has no default.
	Backend Backend
	// Logger takes the log lines; the default discards them.
	Logger *slog.Logger
	// Registerer takes the package's own metrics (scribe_http_…), and Gatherer is what /metrics/prometheus shows. They
	// are usually one registry. When both are nil a registry of the API's own serves.
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	// Version is shown at / and nowhere else.
	Version string

	// MaxKeyBytes is the length of the longest key: default and most ledger.MaxKeyBytes.
	MaxKeyBytes int
	// MaxValueBytes is the size of the largest value: default ledger.MaxValueBytes, most ledger.MaxValueBytesLimit.
	MaxValueBytes int
	// MaxBatchOps and MaxBatchBytes bound a batch and its body: defaults and most ledger.MaxBatchOps and
	// ledger.MaxBatchBytes.
	MaxBatchOps   int
	MaxBatchBytes int
	// MaxInflightBytes bounds bodies, pages and large values held at one time, default 256 MiB. A single request that
	// needs more takes all of it.
	MaxInflightBytes int64
	// MaxPageBytes is the size at which a JSON page of a list ends before its limit, default 8 MiB. A page always has
	// one entry, however large.
	MaxPageBytes int
	// MaxHeaderBytes bounds the request line and headers, default 64 KiB: room for the longest key with every byte
	// percent-encoded, twice.
	MaxHeaderBytes int

	BudgetWait     time.Duration // longest wait for MaxInflightBytes, default 2 s
	BodyTimeout    time.Duration // for each further 64 KiB of a request body, default 10 s
	WriteTimeout   time.Duration // for each 256 KiB of a response, default 30 s
	RequestTimeout time.Duration // for the commit of a write and for a read barrier, default 30 s
	HeaderTimeout  time.Duration // for the request's headers and the first 64 KiB of its body, default 10 s
	IdleTimeout    time.Duration // of a connection between requests, default 2 min
}

// withDefaults returns o with every zero filled in and every limit cut to what the format can hold.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil && o.Gatherer == nil {
		own := prometheus.NewRegistry()
		o.Registerer, o.Gatherer = own, own
	}
	if o.Gatherer == nil {
		o.Gatherer = prometheus.Gatherers{}
	}
	o.MaxKeyBytes = limit(o.MaxKeyBytes, ledger.MaxKeyBytes, ledger.MaxKeyBytes)
	o.MaxValueBytes = limit(o.MaxValueBytes, ledger.MaxValueBytes, ledger.MaxValueBytesLimit)
	o.MaxBatchOps = limit(o.MaxBatchOps, ledger.MaxBatchOps, ledger.MaxBatchOps)
	o.MaxBatchBytes = limit(o.MaxBatchBytes, ledger.MaxBatchBytes, ledger.MaxBatchBytes)
	o.MaxInflightBytes = limit(o.MaxInflightBytes, 256<<20, 1<<62)
	o.MaxPageBytes = limit(o.MaxPageBytes, 8<<20, 1<<30)
	o.MaxHeaderBytes = limit(o.MaxHeaderBytes, 64<<10, 16<<20)
	o.BudgetWait = limit(o.BudgetWait, 2*time.Second, time.Minute)
	o.BodyTimeout = limit(o.BodyTimeout, 10*time.Second, time.Hour)
	o.WriteTimeout = limit(o.WriteTimeout, 30*time.Second, time.Hour)
	o.RequestTimeout = limit(o.RequestTimeout, 30*time.Second, time.Hour)
	o.HeaderTimeout = limit(o.HeaderTimeout, 10*time.Second, time.Hour)
	o.IdleTimeout = limit(o.IdleTimeout, 2*time.Minute, time.Hour)
	return o
}

// limit returns v, or def when v is not positive, and never more than most.
func limit[T int | int64 | time.Duration](v, def, most T) T {
	if v <= 0 {
		v = def
	}
	return min(v, most)
}

// Server returns a server for the API with every limit of the Options in place. Set its Addr or hand it a listener.
//
// It has no WriteTimeout, and its ReadTimeout is lifted behind the headers and the first piece of a body: these count
// from the request's first byte to the last, and would end a long upload or stream that makes good progress. The API sets
// a deadline for each further piece instead.
func (a *API) Server() *http.Server {
	return &http.Server{
		Handler:        a,
		ReadTimeout:    a.opt.HeaderTimeout,
		ConnContext:    newConnection,
		IdleTimeout:    a.opt.IdleTimeout,
		MaxHeaderBytes: a.opt.MaxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(a.opt.Logger.Handler(), slog.LevelDebug),
	}
}
