package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// http1 is one keep-alive connection to a scribe-node, with one request at a time.
type http1 struct {
	kind  kind
	addr  string
	asked bool // and not yet answered
}

func dialHTTP1(k kind, addr string, depth int) protocol { return &http1{kind: k, addr: addr} }

func (h *http1) open(out []byte) []byte { return out }

func (h *http1) ready() bool { return true }

func (h *http1) request(out []byte, _, key int, w *work) []byte {
	h.asked = true
	out = append(out, h.kind.String()...)
	out = append(out, " /v1/kv/"...)
	out = appendKey(out, key)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, h.addr...)
	if h.kind == get {
		return append(out, "\r\n\r\n"...)
	}
	out = append(out, "\r\nContent-Length: "...)
	out = strconv.AppendInt(out, valueBytes, 10)
	out = append(out, "\r\n\r\n"...)
	return append(out, w.value()...)
}

// maxAnswer is more than any answer that is asked for here.
const maxAnswer = 1 << 20

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// consume wants every answer to say its length, as the node's do.
func (h *http1) consume(in, out []byte, done func(int, string)) (int, []byte, error) {
	took := 0
	for {
		rest := in[took:]
		end := bytes.Index(rest, headEnd)
		if end < 0 {
			return took, out, nil
		}
		head := rest[:end+2]
		at := bytes.Index(head, contentLength)
		if at < 0 {
			return took, out, fmt.Errorf("an answer without Content-Length: %q", head)
		}
		digits := head[at+len(contentLength):]
		digits = digits[:bytes.IndexByte(digits, '\r')]
		length, err := strconv.Atoi(string(digits))
		if err != nil || length < 0 || length > maxAnswer {
			return took, out, fmt.Errorf("a wrong Content-Length: %q", digits)
		}
		total := end + len(headEnd) + length
		if len(rest) < total {
			return took, out, nil
		}
		if len(head) < len("HTTP/1.1 200") || !h.asked {
			return took, out, fmt.Errorf("not an answer to a request: %q", head)
		}
		h.asked = false
		done(0, h.judge(string(head[9:12]), rest[end+len(headEnd):total]))
		took += total
	}
}

// judge gives the reason why an answer is not the wanted one.
func (h *http1) judge(status string, body []byte) string {
	switch {
	case h.kind == put && status == "201", h.kind == get && status == "200" && len(body) == valueBytes:
		return ""
	}
	return fmt.Sprintf("status %s, %d bytes: %.200q", status, len(body), body)
}
