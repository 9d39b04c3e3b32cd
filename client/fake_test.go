package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

const origin = "ledger.test/1"

// fake is a ledger in memory behind the contract's routes, with computed proofs. It is honest unless tamper is set.
type fake struct {
	t      *testing.T
	mu     sync.Mutex
	all    []Entry
	leaves []merkle.Hash
	sealed uint64 // entries below this are in one segment
	// lag makes /verify prove in a tree this much smaller than the newest, where that still holds the entry.
	lag uint64
	// tamper may change a JSON answer before it is sent.
	tamper func(path string, doc map[string]any)
	// pageSize caps a page below what is asked for.
	pageSize int
	receipts map[string][]byte // by idempotency key
}

func newFake(t *testing.T) (*fake, *Client) {
	f := &fake{t: t, pageSize: 10_000, receipts: make(map[string][]byte)}
	return f, f.client(Options{})
}

func (f *fake) client(o Options) *Client {
	server := httptest.NewServer(f)
	f.t.Cleanup(server.Close)
	c, err := New([]string{server.URL}, o)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.CloseIdleConnections)
	return c
}

// add appends an entry. Everything follows from the arguments, so two fakes that are fed the same are the same.
func (f *fake) add(op Op, key, value, contentType string) Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.append(op, key, value, contentType)
}

func (f *fake) append(op Op, key, value, contentType string) Entry {
	seq := uint64(len(f.all))
	e := Entry{Seq: seq, Time: time.UnixMicro(1_700_000_000_000_000 + int64(seq)).UTC(), Op: op, Key: key,
		Value: []byte(value), HasValue: op != OpDelete, Size: uint64(len(value)), ContentType: contentType}
	e.LeafHash = merkle.LeafHash(f.record(&e))
	f.all = append(f.all, e)
	f.leaves = append(f.leaves, e.LeafHash)
	return e
}

func (f *fake) record(e *Entry) []byte {
	r := tlog.Record{Op: map[Op]tlog.Op{OpPut: tlog.OpPut, OpDelete: tlog.OpDelete, OpSegment: tlog.OpSegment}[e.Op],
		Seq: e.Seq, Time: e.Time.UnixMicro(), Key: []byte(e.Key), ContentType: e.ContentType, Principal: e.Principal,
		ValueSize: e.Size, ValueHash: sha256.Sum256(e.Value)}
	b, err := tlog.AppendRecord(nil, &r)
	if err != nil {
		f.t.Error(err)
	}
	return b
}

// nodes gives the complete subtrees over leaves by plain recursion.
func nodes(leaves []merkle.Hash) merkle.NodeFunc {
	return func(level uint, index uint64) (merkle.Hash, error) {
		return merkle.RootOf(leaves[index<<level : (index+1)<<level]), nil
	}
}

func hexes(hashes []merkle.Hash) []any {
	out := make([]any, len(hashes))
	for i, h := range hashes {
		out[i] = h.String()
	}
	return out
}

func (f *fake) newest(key string) *Entry {
	for i := len(f.all) - 1; i >= 0; i-- {
		if f.all[i].Key == key && f.all[i].Op != OpSegment {
			return &f.all[i]
		}
	}
	return nil
}

// proof is the document of /verify for an entry.
func (f *fake) proof(e *Entry) map[string]any {
	size := uint64(len(f.leaves))
	if size > f.lag && size-f.lag > e.Seq {
		size -= f.lag
	}
	leaves := f.leaves[:size]
	path, err := merkle.InclusionProof(e.Seq, size, nodes(leaves))
	if err != nil {
		f.t.Error(err)
	}
	root := merkle.RootOf(leaves)
	note, err := (&tlog.Checkpoint{Origin: origin, Size: size, Root: root}).Text()
	if err != nil {
		f.t.Error(err)
	}
	sum := merkle.Hash(sha256.Sum256(e.Value))
	doc := map[string]any{
		"seq": e.Seq, "verified": true, "record": base64.StdEncoding.EncodeToString(f.record(e)),
		"leaf_hash": e.LeafHash.String(), "value_sha256": sum.String(), "segment": nil,
		"ledger": map[string]any{"index": e.Seq, "tree_size": size, "root": root.String(), "proof": hexes(path),
			"checkpoint": note},
	}
	putKey(doc, e.Key)
	if e.Seq < f.sealed {
		// The fake's segments keep seq order: which leaf stands where is the server's business.
		leaves := f.leaves[:f.sealed]
		path, err := merkle.InclusionProof(e.Seq, f.sealed, nodes(leaves))
		if err != nil {
			f.t.Error(err)
		}
		doc["segment"] = map[string]any{"id": tlog.SegmentID(0, f.sealed-1), "ordinal": e.Seq, "entries": f.sealed,
			"root": merkle.RootOf(leaves).String(), "proof": hexes(path)}
	}
	return doc
}

func putKey(doc map[string]any, key string) {
	text, b64 := splitBytes(key)
	if text != nil {
		doc["key"] = *text
	} else {
		doc["key_b64"] = *b64
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path, rawQuery, _ := strings.Cut(r.RequestURI, "?")
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		f.problem(w, 400, "bad_request", nil)
		return
	}
	key := func(prefix string) string {
		k, err := url.PathUnescape(strings.TrimPrefix(path, prefix))
		if err != nil {
			f.t.Error(err)
		}
		return k
	}
	switch {
	case strings.HasPrefix(path, "/v1/kv/"):
		f.kv(w, r, key("/v1/kv/"), q)
	case strings.HasPrefix(path, "/v1/history/"):
		f.history(w, key("/v1/history/"), q)
	case strings.HasPrefix(path, "/verify/"):
		e := f.version(key("/verify/"), q)
		if e == nil {
			f.problem(w, 404, "key_not_found", nil)
			return
		}
		f.send(w, path, 200, f.proof(e))
	case path == "/v1/proof/consistency":
		f.consistency(w, path, q)
	case path == "/v1/range":
		f.scan(w, q)
	case path == "/v1/entries":
		f.page(w, f.all[min(number(q, "from"), uint64(len(f.all))):], q, "keys_only")
	case path == "/v1/batch":
		f.batch(w, r)
	case path == "/v1/admin/seal":
		f.sealed = uint64(len(f.all))
		f.send(w, path, 200, map[string]any{"segments": []string{tlog.SegmentID(0, f.sealed-1)},
			"sealed_through": f.sealed - 1})
	case path == "/cluster/status":
		f.send(w, path, 200, map[string]any{"node_id": 1, "role": "leader", "tree_size": len(f.leaves),
			"root": merkle.RootOf(f.leaves).String(), "members": []any{map[string]any{"node_id": 1, "voter": true}}})
	default:
		f.problem(w, 404, "no_route", nil)
	}
}

func number(q url.Values, name string) uint64 {
	n, _ := strconv.ParseUint(q.Get(name), 10, 64)
	return n
}

func (f *fake) version(key string, q url.Values) *Entry {
	if !q.Has("seq") {
		return f.newest(key)
	}
	seq := number(q, "seq")
	if seq < uint64(len(f.all)) && f.all[seq].Key == key {
		return &f.all[seq]
	}
	return nil
}

func (f *fake) kv(w http.ResponseWriter, r *http.Request, key string, q url.Values) {
	e := f.version(key, q)
	live := e != nil && e.Op == OpPut
	if r.Method == http.MethodGet {
		if !live {
			f.problem(w, 404, "key_not_found", e)
			return
		}
		sum := sha256.Sum256(e.Value)
		w.Header().Set("X-Scribe-Seq", strconv.FormatUint(e.Seq, 10))
		w.Header().Set("X-Scribe-Time", e.Time.Format(timeLayout))
		w.Header().Set("Content-Type", e.ContentType)
		w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		w.Write(e.Value)
		return
	}
	retry := r.Header.Get("Idempotency-Key")
	if old, ok := f.receipts[retry]; ok {
		w.WriteHeader(201)
		w.Write(old)
		return
	}
	match := r.Header.Get("If-Match")
	if (r.Header.Get("If-None-Match") == "*" && live) ||
		(match != "" && (!live || match != `"`+strconv.FormatUint(e.Seq, 10)+`"`)) {
		f.problem(w, 412, "precondition_failed", e)
		return
	}
	op, status := OpPut, 201
	if r.Method == http.MethodDelete {
		op, status = OpDelete, 200
		if !live {
			f.problem(w, 404, "key_not_found", e)
			return
		}
	}
	body, _ := io.ReadAll(r.Body)
	n := f.append(op, key, string(body), r.Header.Get("Content-Type"))
	doc := map[string]any{"seq": n.Seq, "time": n.Time.Format(timeLayout), "leaf_hash": n.LeafHash.String(),
		"size": n.Size}
	putKey(doc, key)
	f.receipts[retry], _ = json.Marshal(doc)
	f.send(w, "/v1/kv", status, doc)
}

func (f *fake) history(w http.ResponseWriter, key string, q url.Values) {
	if f.newest(key) == nil {
		f.problem(w, 404, "key_not_found", nil)
		return
	}
	var list []Entry
	for i := len(f.all) - 1; i >= 0; i-- {
		if f.all[i].Key == key && (!q.Has("before") || f.all[i].Seq < number(q, "before")) {
			list = append(list, f.all[i])
		}
	}
	if q.Get("values") != "1" {
		q.Set("keys_only", "1")
	}
	f.page(w, list, q, "keys_only")
}

// scan takes the last key of the page before for a cursor.
func (f *fake) scan(w http.ResponseWriter, q url.Values) {
	var list []Entry
	seen := make(map[string]bool)
	for i := len(f.all) - 1; i >= 0; i-- {
		e := f.all[i]
		if q.Has("as_of_seq") && e.Seq > number(q, "as_of_seq") || seen[e.Key] {
			continue
		}
		seen[e.Key] = true
		after := !q.Has("cursor") || (e.Key > q.Get("cursor")) != (q.Get("reverse") == "1")
		if e.Op == OpPut && strings.HasPrefix(e.Key, q.Get("prefix")) && e.Key >= q.Get("start") &&
			(q.Get("end") == "" || e.Key < q.Get("end")) && after && e.Key != q.Get("cursor") {
			list = append(list, e)
		}
	}
	sortEntries(list, q.Get("reverse") == "1")
	f.page(w, list, q, "keys_only")
}

func (f *fake) page(w http.ResponseWriter, list []Entry, q url.Values, keysOnly string) {
	doc := map[string]any{"entries": []any{}}
	if n := min(int(number(q, "limit")), f.pageSize); n < len(list) {
		list = list[:n]
		doc["next"] = list[n-1].Key
		if doc["next"] == "" {
			f.t.Error("a key is empty")
		}
	}
	entries := make([]any, len(list))
	for i := range list {
		e := list[i]
		e.HasValue = e.HasValue && q.Get(keysOnly) != "1"
		b, err := json.Marshal(&e)
		if err != nil {
			f.t.Error(err)
		}
		entries[i] = decode(b)
	}
	doc["entries"] = entries
	f.send(w, "list", 200, doc)
}

func (f *fake) consistency(w http.ResponseWriter, path string, q url.Values) {
	from, to := number(q, "from"), number(q, "to")
	if from > to || to > uint64(len(f.leaves)) {
		f.problem(w, 400, "bad_request", nil)
		return
	}
	proof, err := merkle.ConsistencyProof(from, to, nodes(f.leaves[:to]))
	if err != nil {
		f.t.Error(err)
	}
	f.send(w, path, 200, map[string]any{"from": from, "to": to, "proof": hexes(proof),
		"from_root": merkle.RootOf(f.leaves[:from]).String(), "to_root": merkle.RootOf(f.leaves[:to]).String()})
}

func (f *fake) batch(w http.ResponseWriter, r *http.Request) {
	var body struct{ Ops []wireOp }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		f.t.Error(err)
	}
	first := len(f.all)
	for i, o := range body.Ops {
		key, _, _ := joinBytes(o.Key, o.KeyB64)
		value, _, _ := joinBytes(o.Value, o.ValueB64)
		if e := f.newest(key); o.IfNoneMatch == "*" && e != nil || o.IfMatch != nil && (e == nil || e.Seq != *o.IfMatch) {
			f.all, f.leaves = f.all[:first], f.leaves[:first]
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(412)
			fmt.Fprintf(w, `{"status":412,"code":"precondition_failed","op_index":%d}`, i)
			return
		}
		f.append(o.Op, key, value, o.ContentType)
	}
	f.send(w, "/v1/batch", 201, map[string]any{"first_seq": first, "count": len(body.Ops),
		"time": f.all[first].Time.Format(timeLayout)})
}

func (f *fake) problem(w http.ResponseWriter, status int, code string, e *Entry) {
	if e != nil {
		w.Header().Set("X-Scribe-Seq", strconv.FormatUint(e.Seq, 10))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"title":"no","status":%d,"code":%q,"detail":"why","request_id":"r1"}`, status, code)
}

// decode reads JSON with its numbers kept exact.
func decode(b []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		panic(err)
	}
	return doc
}

func (f *fake) send(w http.ResponseWriter, path string, status int, doc map[string]any) {
	if f.tamper != nil {
		b, _ := json.Marshal(doc)
		doc = decode(b)
		f.tamper(path, doc)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		f.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}
