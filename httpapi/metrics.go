package httpapi

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the package's own. Labels are route class, method and class of status: never a key, an id or a path.
type metrics struct {
	api       *API
	started   time.Time
	requests  *prometheus.CounterVec
	latencies [numClasses]latency
	duration  *prometheus.Desc
	inFlight  *prometheus.Desc
	bytes     *prometheus.Desc
	text      http.Handler
}

// routeMetrics are the counters of one route, looked up once.
type routeMetrics struct {
	latency *latency
	codes   [codeClasses]prometheus.Counter
}

// codeClasses are aborted (no status was sent), 1xx to 5xx.
const codeClasses = 6

func newMetrics(a *API) *metrics {
	m := &metrics{
		api:     a,
		started: time.Now(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scribe_http_requests_total",
			Help: "Requests by route class, method and class of status.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewDesc("scribe_http_request_duration_seconds",
			"Time from a request's headers to the last piece of its answer, by route class.", []string{"route"}, nil),
		inFlight: prometheus.NewDesc("scribe_http_requests_in_flight", "Requests being handled.", nil, nil),
		bytes: prometheus.NewDesc("scribe_http_in_flight_bytes",
			"Bytes of bodies, pages and large values that are held.", nil, nil),
		text: promhttp.HandlerFor(a.opt.Gatherer, promhttp.HandlerOpts{}),
	}
	if a.opt.Registerer != nil {
		a.opt.Registerer.MustRegister(m.requests, m)
	}
	return m
}

// prepare gives a route its counters.
func (m *metrics) prepare(rt *route) {
	method := rt.method
	if method == "" {
		method = "other"
	}
	rm := &routeMetrics{latency: &m.latencies[rt.class]}
	for i, code := range [codeClasses]string{"aborted", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		rm.codes[i] = m.requests.WithLabelValues(rt.class.String(), method, code)
	}
	rt.metrics = rm
}

func (rm *routeMetrics) observe(status int, took time.Duration) {
	rm.latency.observe(took)
	i := status / 100
	if i >= codeClasses {
		i = 0
	}
	rm.codes[i].Inc()
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.duration
	ch <- m.inFlight
	ch <- m.bytes
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for cl := range numClasses {
		h, err := m.latencies[cl].histogram(m.duration, cl.String())
		if err != nil {
			h = prometheus.NewInvalidMetric(m.duration, err)
		}
		ch <- h
	}
	ch <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(m.api.inFlight.Load()))
	ch <- prometheus.MustNewConstMetric(m.bytes, prometheus.GaugeValue, float64(m.api.budget.held.Load()))
}

// latencyJSON is one route class in the digest. Latencies are since the start, in milliseconds, to about 6 %.
type latencyJSON struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
}

// metricsDigest answers /metrics: a digest for people, and the full text for a scraper, which says so in Accept.
func (c *call) metricsDigest() error {
	if prefers(c.r.Header, "text/plain", "application/openmetrics-text", "application/vnd.google.protobuf") {
		return c.metricsText()
	}
	a := c.api
	routes := make(map[string]latencyJSON)
	for cl := range numClasses {
		count, at := a.metrics.latencies[cl].quantiles(0.5, 0.95, 0.99)
		if count > 0 {
			routes[cl.String()] = latencyJSON{count, millis(at[0]), millis(at[1]), millis(at[2])}
		}
	}
	s := a.backend.Status()
	return c.sendValueJSON(http.StatusOK, struct {
		NodeID        uint64                 `json:"node_id"`
		Role          string                 `json:"role"`
		UptimeSeconds float64                `json:"uptime_seconds"`
		Term          uint64                 `json:"term"`
		CommitIndex   uint64                 `json:"commit_index"`
		AppliedIndex  uint64                 `json:"applied_index"`
		TreeSize      uint64                 `json:"tree_size"`
		InFlight      int64                  `json:"requests_in_flight"`
		InFlightBytes int64                  `json:"in_flight_bytes"`
		Routes        map[string]latencyJSON `json:"routes"`
		Tier          *tierStatusJSON        `json:"tier,omitempty"`
	}{s.NodeID, s.Role, time.Since(a.metrics.started).Seconds(), s.Term, s.CommitIndex, s.AppliedIndex, s.TreeSize,
		a.inFlight.Load(), a.budget.held.Load(), routes, tierDigest(a.backend.TierStatus())})
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// metricsText answers /metrics/prometheus, in text whatever else the scraper takes.
func (c *call) metricsText() error {
	c.r.Header.Del("Accept") // promhttp would answer in protocol buffers
	c.head.moveTo(c.w.Header())
	c.status = http.StatusOK
	c.extendWrite()
	c.api.metrics.text.ServeHTTP(c.w, c.r)
	return nil
}
