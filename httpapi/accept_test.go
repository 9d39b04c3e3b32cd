package httpapi

import (
	"net/http"
	"testing"
)

func TestPrefers(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                  false,
		"*/*":                               false,
		"text/html":                         true,
		"TEXT/HTML; charset=utf-8":          true,
		"text/html;q=0":                     false,
		"text/html;q=x":                     false,
		"text/html;q=0.001":                 true,
		"text/plain":                        false,
		"text/html, */*":                    true,  // who names it cares
		"*/*, text/html":                    true,  // in any order
		"text/html;q=0.5, */*":              false, // and by how much
		"text/html;q=0.5, */*;q=0.1":        true,
		"application/*, text/html":          true,
		"application/*, text/html;q=0.9":    false,
		"application/json, text/html":       false, // the one before, where neither is above the other
		"text/html, application/json":       true,
		"application/json;q=0.5, text/html": true,
		"application/json, text/html;q=0.1": false,
		"application/json;q=0, */*, text/html;q=0.1":                    true, // the name has the say over the wildcard
		"application/json, text/plain, */*":                             false,
		"text/html,application/xhtml+xml,*/*;q=0.8":                     true,
		"application/xhtml+xml;q=0.9, text/html;q=0.9, application/xml": true,
	} {
		if got := prefers(http.Header{"Accept": {accept}}, "text/html", "application/xhtml+xml"); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
	if !prefers(http.Header{"Accept": {"*/*;q=0.1", "text/html;q=0.2"}}, "text/html") {
		t.Error("the second line is not read")
	}
}
