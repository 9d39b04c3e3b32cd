package httpapi

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/julienschmidt/httprouter"
)

// API is the HTTP handler. It is safe for concurrent use and holds nothing that needs closing.
type API struct {
	opt     Options
	backend Backend
	router  *httprouter.Router
	budget  *budget
	metrics *metrics
	fixed   fixedHeaders
	ids     requestIDs

	// short serves the root short form of keys, and other everything that has no route; both by method, with "" for
	// the methods that are not named. Read only once New is done.
	short map[string]*route
	other map[string]*route

	calls    sync.Pool // of *call
	pieces   sync.Pool // of *[readPiece]byte
	inFlight atomic.Int64
}

// route is one handler under one method.
type route struct {
	class   class
	method  string
	handler func(*call) error
	writes  bool // a failure may leave an entry behind
	batch   bool // a failure names one of several operations
	brief   bool // answers at once, or waits on nothing that a passed read deadline would end
	metrics *routeMetrics
}

// New returns the handler for opt.Backend. It registers its metrics once; a second API on the same Registerer is a
// mistake in the wiring, and panics as prometheus.MustRegister does.
func New(opt Options) *API {
	opt = opt.withDefaults()
	a := &API{
		opt:     opt,
		backend: opt.Backend,
		router:  httprouter.New(),
		budget:  newBudget(opt.MaxInflightBytes, opt.BudgetWait),
		fixed:   newFixedHeaders(),
		ids:     newRequestIDs(),
		short:   make(map[string]*route),
		other:   make(map[string]*route),
	}
	a.calls.New = func() any { return &call{api: a} }
	a.pieces.New = func() any { return new([readPiece]byte) }
	a.metrics = newMetrics(a)
	// Lookup alone is used, and it neither redirects nor cleans; the switches say so to whoever reads this.
	a.router.RedirectTrailingSlash = false
	a.router.RedirectFixedPath = false
	a.router.HandleMethodNotAllowed = false
	a.router.HandleOPTIONS = false
	a.routes()
	return a
}

// routes fills the router. Every GET is a HEAD as well.
func (a *API) routes() {
	get := func(path string, cl class, h func(*call) error) {
		a.add(path, &route{class: cl, method: http.MethodGet, handler: h})
		a.add(path, &route{class: cl, method: http.MethodHead, handler: h})
	}
	for _, rt := range []*route{
		{class: classKVGet, method: http.MethodGet, handler: (*call).getKV, brief: true},
		{class: classKVGet, method: http.MethodHead, handler: (*call).getKV},
		{class: classKVPut, method: http.MethodPut, handler: (*call).putKV, writes: true, brief: true},
		{class: classKVDelete, method: http.MethodDelete, handler: (*call).deleteKV, writes: true},
	} {
		a.add("/v1/kv/*key", rt)
		a.short[rt.method] = rt
	}
	get("/v1/history/*key", classHistory, (*call).history)
	get("/v1/range", classRange, (*call).scan)
	get("/v1/entries", classEntries, (*call).entries)
	a.add("/v1/batch", &route{class: classBatch, method: http.MethodPost, handler: (*call).batch,
		writes: true, batch: true})
	get("/verify/*key", classVerify, (*call).verify)
	get("/v1/proof/consistency", classConsistency, (*call).consistencyProof)
	get("/v1/manifest", classManifest, (*call).manifest)
	get("/v1/segments", classManifest, (*call).segments)
	a.add("/v1/admin/seal", &route{class: classAdmin, method: http.MethodPost, handler: (*call).seal})
	a.add("/v1/admin/compact", &route{class: classAdmin, method: http.MethodPost, handler: (*call).compact})
	a.add("/v1/admin/tier", &route{class: classAdmin, method: http.MethodPost, handler: (*call).tier})
	get("/v1/admin/tier", classAdmin, (*call).tierStatus)
	a.add("/v1/admin/scrub", &route{class: classAdmin, method: http.MethodPost, handler: (*call).scrub})
	get("/cluster/status", classCluster, (*call).clusterStatus)
	get("/cluster/members", classCluster, (*call).clusterMembers)
	get("/cluster/leader", classCluster, (*call).clusterLeader)
	for path, handler := range map[string]func(*call) error{
		"/cluster/join": (*call).join, "/cluster/leave": (*call).leave,
		"/cluster/promote": (*call).promote, "/cluster/transfer": (*call).transfer,
	} {
		a.add(path, &route{class: classCluster, method: http.MethodPost, handler: handler, writes: true})
	}
	get("/checkpoint", classCheckpoint, (*call).checkpoint)
	get("/health", classHealth, (*call).health)
	get("/livez", classHealth, (*call).livez)
	get("/readyz", classHealth, (*call).readyz)
	get("/metrics", classMetrics, (*call).metricsDigest)
	get("/metrics/prometheus", classMetrics, (*call).metricsText)
	get("/", classIndex, (*call).index)
	for _, method := range append(knownMethods(), "") {
		rt := &route{class: classOther, method: method, handler: (*call).unrouted}
		a.metrics.prepare(rt)
		a.other[method] = rt
	}
}

func (a *API) add(path string, rt *route) {
	a.metrics.prepare(rt)
	a.router.Handle(rt.method, path, func(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
		raw := ""
		if len(ps) > 0 {
			raw = ps[0].Value[1:] // a catch-all begins with its slash
		}
		a.serve(rt, raw, w, r)
	})
}

// knownMethods are those that the metrics name; what a client makes up is counted as other.
func knownMethods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete,
		http.MethodOptions, http.MethodPatch, http.MethodConnect, http.MethodTrace}
}

// ServeHTTP routes by the raw path of the request's target.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, _ := splitTarget(r)
	if handle, params, _ := a.router.Lookup(r.Method, path); handle != nil {
		handle(w, r, params)
		return
	}
	if key, ok := shortForm(path); ok {
		if rt := a.short[r.Method]; rt != nil {
			a.serve(rt, key, w, r)
			return
		}
	}
	rt := a.other[r.Method]
	if rt == nil {
		rt = a.other[""]
	}
	a.serve(rt, path, w, r)
}

// shortForm returns the raw key of a path with a single segment that is no reserved word, in either spelling: a word
// is not made into a key by percent-encoding it.
func shortForm(path string) (rawKey string, ok bool) {
	if len(path) < 2 || path[0] != '/' {
		return "", false
	}
	segment := path[1:]
	if strings.IndexByte(segment, '/') >= 0 || reserved(segment) {
		return "", false
	}
	if strings.IndexByte(segment, '%') >= 0 {
		if plain, ok := unescape(nil, segment); ok && reserved(string(plain)) {
			return "", false
		}
	}
	return segment, true
}

// unrouted answers what no route takes: OPTIONS, 405 where another method is served, else 404.
func (c *call) unrouted() error {
	allow := c.api.allowed(c.rawKey)
	switch {
	case allow == "":
		return noRoute()
	case c.r.Method == http.MethodOptions:
		c.head.add("Allow", allow)
		c.send(http.StatusNoContent, nil)
		return nil
	}
	return &problem{status: http.StatusMethodNotAllowed, code: codeMethodNotAllowed, allow: allow,
		detail: "this path takes " + allow}
}

// allowed lists the methods that are served at a path; "" when there is none.
func (a *API) allowed(path string) string {
	_, short := shortForm(path)
	var methods []string
	for _, method := range knownMethods() {
		if handle, _, _ := a.router.Lookup(method, path); handle != nil || short && a.short[method] != nil {
			methods = append(methods, method)
		}
	}
	if methods == nil {
		return ""
	}
	return strings.Join(append(methods, http.MethodOptions), ", ")
}
