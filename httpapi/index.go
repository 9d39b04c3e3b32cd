package httpapi

import (
	"net/http"
)

// indexPage is the page of /, for a person who opened the address in a browser. It holds no script and loads nothing.
const indexPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Scribe Ledger</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}
code,pre{font:14px/1.5 ui-monospace,monospace}pre{background:#8881;padding:.8rem;overflow:auto}</style></head>
<body><h1>Scribe Ledger</h1>
<p>An append-only key-value ledger: nothing that was committed is changed or lost, and every entry can be proven.</p>
<pre>curl -X PUT --data-binary 'hello' http://HOST/v1/kv/greeting
curl http://HOST/v1/kv/greeting
curl http://HOST/verify/greeting</pre>
<ul>
<li><a href="/health">/health</a>, <a href="/cluster/status">/cluster/status</a>, <a href="/metrics">/metrics</a>
<li><a href="/v1/range">/v1/range</a>: keys and values in key order
<li><a href="/v1/entries">/v1/entries</a>: the ledger in the order it was written
<li><a href="/v1/manifest">/v1/manifest</a>, <a href="/v1/segments">/v1/segments</a>: what is sealed
</ul></body></html>
`

// index answers /: what this is and where things are.
func (c *call) index() error {
	if prefers(c.r.Header, "text/html") {
		c.head.add("Content-Type", "text/html; charset=utf-8")
		c.head.add("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		c.send(http.StatusOK, []byte(indexPage))
		return nil
	}
	s := c.api.backend.Status()
	return c.sendValueJSON(http.StatusOK, struct {
		Name      string            `json:"name"`
		Version   string            `json:"version,omitempty"`
		NodeID    uint64            `json:"node_id"`
		ClusterID string            `json:"cluster_id"`
		Routes    map[string]string `json:"routes"`
	}{"Scribe Ledger", c.api.opt.Version, s.NodeID, s.ClusterID, map[string]string{
		"kv":          "/v1/kv/{key}",
		"history":     "/v1/history/{key}",
		"range":       "/v1/range",
		"batch":       "/v1/batch",
		"entries":     "/v1/entries",
		"verify":      "/verify/{key}",
		"consistency": "/v1/proof/consistency",
		"manifest":    "/v1/manifest",
		"segments":    "/v1/segments",
		"seal":        "/v1/admin/seal",
		"compact":     "/v1/admin/compact",
		"tier":        "/v1/admin/tier",
		"scrub":       "/v1/admin/scrub",
		"cluster":     "/cluster/status",
		"health":      "/health",
		"metrics":     "/metrics",
	}})
}
