package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
)

func TestWriteAndRead(t *testing.T) {
	ctx := context.Background()
	_, c := newFake(t)
	r, err := c.Put(ctx, "a/b", []byte("one"), PutOptions{ContentType: "text/plain", If: IfAbsent()})
	if err != nil || r.Seq != 0 || r.Size != 3 || r.LeafHash == (merkle.Hash{}) {
		t.Fatalf("%+v, %v", r, err)
	}
	v, err := c.Get(ctx, "a/b", GetOptions{})
	if err != nil || string(v.Data) != "one" || v.ContentType != "text/plain" || v.Seq != 0 || !v.Time.Equal(r.Time) {
		t.Fatalf("%+v, %v", v, err)
	}
	var answered *Error
	_, err = c.Put(ctx, "a/b", nil, PutOptions{If: IfAbsent()})
	if !errors.As(err, &answered) || answered.Code != CodePreconditionFailed || !answered.HasSeq || answered.Seq != 0 ||
		answered.Detail != "why" || answered.RequestID != "r1" || answered.Status != 412 {
		t.Fatalf("%+v", answered)
	}
	if r, err = c.Put(ctx, "a/b", nil, PutOptions{If: IfSeq(0)}); err != nil || r.Seq != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if v, err = c.Get(ctx, "a/b", GetOptions{Version: AtSeq(0)}); err != nil || string(v.Data) != "one" {
		t.Fatalf("%+v, %v", v, err)
	}
	if r, err = c.Delete(ctx, "a/b", DeleteOptions{If: IfSeq(1)}); err != nil || r.Seq != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err = c.Get(ctx, "a/b", GetOptions{}); !IsCode(err, CodeKeyNotFound) {
		t.Fatal(err)
	}
	b, err := c.Batch(ctx, []BatchOp{{Op: OpPut, Key: "x", Value: []byte{0xff}}, {Op: OpPut, Key: "\xfe"}}, "")
	if err != nil || b.FirstSeq != 3 || b.Count != 2 {
		t.Fatalf("%+v, %v", b, err)
	}
	_, err = c.Batch(ctx, []BatchOp{{Op: OpPut, Key: "y"}, {Op: OpPut, Key: "x", If: IfSeq(9)}}, "")
	if !errors.As(err, &answered) || !answered.HasOpIndex || answered.OpIndex != 1 {
		t.Fatalf("%+v", err)
	}
	if s, err := c.Status(ctx); err != nil || s.TreeSize != 5 || s.NodeID != 1 || !s.Members[0].Voter {
		t.Fatalf("%+v, %v", s, err)
	}
	if s, err := c.Seal(ctx); err != nil || *s.SealedThrough != 4 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestDamagedValueIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Scribe-Seq", "1")
		w.Header().Set("X-Scribe-Time", "2026-11-22T10:00:00.000001Z")
		w.Header().Set("Repr-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:") // of nothing
		w.Write([]byte("something"))
	}))
	defer server.Close()
	c, err := New([]string{server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wrong *ProtocolError
	if _, err := c.Get(context.Background(), "a", GetOptions{}); !errors.As(err, &wrong) {
		t.Fatal(err)
	}
}

// TestKeysArriveAsTheyAre: what a server decodes once from the raw target is the key, whatever its bytes.
func TestKeysArriveAsTheyAre(t *testing.T) {
	var target string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target = r.RequestURI
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	c, err := New([]string{server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	check := func(t interface{ Fatalf(string, ...any) }, key string) {
		for _, send := range []func(){
			func() { c.Get(context.Background(), key, GetOptions{}) },
			func() { c.FetchProof(context.Background(), key, nil) },
			func() {
				for range c.History(context.Background(), key, HistoryOptions{}) {
				}
			},
		} {
			target = ""
			send()
			path, _, _ := strings.Cut(target, "?")
			for _, prefix := range []string{"/v1/kv/", "/verify/", "/v1/history/"} {
				path = strings.TrimPrefix(path, prefix)
			}
			if got, err := url.PathUnescape(path); err != nil || got != key {
				t.Fatalf("%q is sent as %s and read as %q, %v", key, target, got, err)
			}
		}
	}
	for _, key := range []string{"a", "a/b", "/", "//", ".", "..", "../a", "a/./b", "a//b", "a/", "+", "a b", "%2f",
		"\x00", "\xff", "?", "#", "ä", "a?b=c&d", strings.Repeat("x", 4096)} {
		check(t, key)
	}
	if got := keyPath("/", "dir/file.txt"); got != "/dir/file.txt" {
		t.Errorf("a clean key is sent as %s", got)
	}
	for _, key := range []string{"a//b", "../c", "a/./b", "/a", "a/"} { // which a proxy might clean
		if got := keyPath("/", key); strings.Count(got, "/") != 1 || strings.Contains(got, ".") {
			t.Errorf("%q is sent as %s", key, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, string(rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "key")))
	})
}

func collect(t *testing.T, list iter.Seq2[*Entry, error]) []*Entry {
	t.Helper()
	var out []*Entry
	for e, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func TestLists(t *testing.T) {
	ctx := context.Background()
	f, c := newFake(t)
	fill(f)
	seq := uint64(10)
	for _, pageSize := range []int{1, 3, 10_000} {
		f.pageSize = pageSize
		all := collect(t, c.Entries(ctx, EntriesOptions{}))
		if len(all) != 20 || all[19].Seq != 19 || string(all[8].Value) != "second" || all[11].Op != OpSegment {
			t.Fatalf("entries: %d", len(all))
		}
		if got := collect(t, c.Entries(ctx, EntriesOptions{From: 5, Limit: 7, KeysOnly: true})); len(got) != 7 ||
			got[0].Seq != 5 || got[6].HasValue {
			t.Errorf("entries from 5: %d", len(got))
		}
		if got := collect(t, c.Entries(ctx, EntriesOptions{From: 20})); len(got) != 0 {
			t.Errorf("entries at the end: %d", len(got))
		}
		list := c.Range(ctx, RangeOptions{})
		got, again := collect(t, list), collect(t, list)
		if len(got) != 16 || len(again) != 16 || got[15].Key != "\xff\x00/.." {
			t.Errorf("range: %d, again %d", len(got), len(again))
		}
		if got := collect(t, c.Range(ctx, RangeOptions{Prefix: "k", Reverse: true, Limit: 4})); len(got) != 4 ||
			got[0].Key != "k7" {
			t.Errorf("reverse range: %+v", got)
		}
		if got := collect(t, c.Range(ctx, RangeOptions{Start: "k3", End: "k6", AsOfSeq: &seq})); len(got) != 3 {
			t.Errorf("range from k3 to k6: %+v", got)
		}
		if got := collect(t, c.History(ctx, "k1", HistoryOptions{Values: true})); len(got) != 2 || got[0].Seq != 8 ||
			string(got[0].Value) != "second" {
			t.Errorf("history: %+v", got)
		}
		if got := collect(t, c.History(ctx, "k1", HistoryOptions{Before: &seq, Limit: 1})); len(got) != 1 {
			t.Errorf("history, one: %+v", got)
		}
	}
	for _, err := range c.History(ctx, "none", HistoryOptions{}) {
		if !IsCode(err, CodeKeyNotFound) {
			t.Error(err)
		}
	}
	for range c.Entries(ctx, EntriesOptions{}) {
		break // the walk must stand being left
	}
}

// TestWrongListsAreRefused: a server that loses, repeats or reorders.
func TestWrongListsAreRefused(t *testing.T) {
	ctx := context.Background()
	f, c := newFake(t)
	fill(f)
	swap := func(doc map[string]any) {
		if list := doc["entries"].([]any); len(list) > 3 {
			list[1], list[2] = list[2], list[1]
		}
	}
	entries := func(o EntriesOptions) iter.Seq2[*Entry, error] { return c.Entries(ctx, o) }
	for name, tc := range map[string]struct {
		list   iter.Seq2[*Entry, error]
		tamper func(doc map[string]any)
	}{
		"gap": {entries(EntriesOptions{}), func(doc map[string]any) { doc["entries"] = doc["entries"].([]any)[1:] }},
		"repeat": {entries(EntriesOptions{PageSize: 7}),
			func(doc map[string]any) { l := doc["entries"].([]any); l[1] = l[0] }},
		"seqs swapped":    {entries(EntriesOptions{}), swap},
		"keys swapped":    {c.Range(ctx, RangeOptions{}), swap},
		"wrong direction": {c.Range(ctx, RangeOptions{Reverse: true}), swap},
		"out of range":    {c.Range(ctx, RangeOptions{Prefix: "k"}), func(doc map[string]any) { first(doc)["key"] = "a" }},
		"another key":     {c.History(ctx, "k1", HistoryOptions{}), func(doc map[string]any) { first(doc)["key"] = "k2" }},
		"endless": {entries(EntriesOptions{}),
			func(doc map[string]any) { doc["entries"], doc["next"] = []any{}, "x" }},
		"more than asked": {entries(EntriesOptions{From: 19, Limit: 1}), func(doc map[string]any) {
			beyond := map[string]any{"seq": 20}
			for name, v := range first(doc) {
				if name != "seq" {
					beyond[name] = v
				}
			}
			doc["entries"] = []any{first(doc), beyond}
		}},
		"null entry":       {entries(EntriesOptions{}), func(doc map[string]any) { doc["entries"] = []any{nil} }},
		"no list":          {entries(EntriesOptions{}), func(doc map[string]any) { doc["entries"] = "x" }},
		"size":             {entries(EntriesOptions{}), func(doc map[string]any) { first(doc)["size"] = 9 }},
		"time":             {entries(EntriesOptions{}), func(doc map[string]any) { first(doc)["time"] = "yesterday" }},
		"both key forms":   {entries(EntriesOptions{}), func(doc map[string]any) { first(doc)["key_b64"] = "YQ==" }},
		"no key":           {entries(EntriesOptions{}), func(doc map[string]any) { delete(first(doc), "key") }},
		"unknown op":       {entries(EntriesOptions{}), func(doc map[string]any) { first(doc)["op"] = "merge" }},
		"half a leaf hash": {entries(EntriesOptions{}), func(doc map[string]any) { first(doc)["leaf_hash"] = "ab" }},
	} {
		f.tamper = func(_ string, doc map[string]any) { tc.tamper(doc) }
		var wrong *ProtocolError
		var err error
		n := 0
		for _, err = range tc.list {
			if n++; n > 100 || err != nil {
				break
			}
		}
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func first(doc map[string]any) map[string]any { return doc["entries"].([]any)[0].(map[string]any) }

func TestReplay(t *testing.T) {
	ctx := context.Background()
	f, c := newFake(t)
	fill(f)
	f.pageSize = 3
	want := merkle.RootOf(f.leaves)
	n := 0
	r, err := c.ReplayRoot(ctx, 0, func(*Entry) { n++ })
	if err != nil || r.Root != want || r.Size != 20 || n != 20 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = c.ReplayRoot(ctx, 13, nil); err != nil || r.Root != merkle.RootOf(f.leaves[:13]) {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err = c.ReplayRoot(ctx, 21, nil); err == nil {
		t.Fatal("a ledger of 20 entries passes for one of 21")
	}
	for name, tamper := range map[string]func(e map[string]any){
		"value":        func(e map[string]any) { e["value"], e["size"] = "forged", 6 },
		"key":          func(e map[string]any) { e["key"] = "forged" },
		"time":         func(e map[string]any) { e["time"] = "2026-11-22T10:00:00.000001Z" },
		"content type": func(e map[string]any) { e["content_type"] = "x/y" },
		"principal":    func(e map[string]any) { e["principal"] = "eve" },
		"op":           func(e map[string]any) { e["op"] = "delete" },
		"leaf hash":    func(e map[string]any) { e["leaf_hash"] = strings.Repeat("ab", 32) },
		"no value": func(e map[string]any) {
			delete(e, "value")
			e["size"] = 5
			forged := f.all[0]
			forged.Value, forged.Size = nil, 5
			e["leaf_hash"] = merkle.LeafHash(f.record(&forged)).String()
		},
	} {
		f.tamper = func(_ string, doc map[string]any) {
			if e := first(doc); e["seq"] == json.Number("0") {
				tamper(e)
			}
		}
		if r, err := c.ReplayRoot(ctx, 0, nil); err == nil {
			t.Errorf("%s: the root is %s", name, r.Root)
		}
	}
}

func TestEntryJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{
			Seq:         rapid.Uint64().Draw(t, "seq"),
			Time:        time.UnixMicro(rapid.Int64Range(0, 1<<50).Draw(t, "time")).UTC(),
			Op:          rapid.SampledFrom([]Op{OpPut, OpDelete, OpSegment}).Draw(t, "op"),
			Key:         string(rapid.SliceOf(rapid.Byte()).Draw(t, "key")),
			ContentType: rapid.StringMatching(`[a-z/]*`).Draw(t, "type"),
			Size:        rapid.Uint64().Draw(t, "size"),
		}
		if rapid.Bool().Draw(t, "with value") {
			e.Value, e.HasValue = rapid.SliceOf(rapid.Byte()).Draw(t, "value"), true
			e.Size = uint64(len(e.Value))
		}
		b, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		var back Entry
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(back) != fmt.Sprint(e) || !bytes.Equal(back.Value, e.Value) || back.Key != e.Key {
			t.Fatalf("%+v comes back as %+v", e, back)
		}
	})
}

// FuzzEntry: no entry panics, and one that is read writes itself the same again.
func FuzzEntry(f *testing.F) {
	h := strings.Repeat("ab", 32)
	const moment = `"time":"2026-11-22T10:00:00.000001Z"`
	f.Add([]byte(`{"seq":12,` + moment + `,"op":"put","key":"a","value":"b","size":1,"leaf_hash":"` + h + `"}`))
	f.Add([]byte(`{"seq":1,` + moment + `,"op":"delete","key_b64":"/w==","size":0,"leaf_hash":"` + h + `"}`))
	f.Add([]byte(`{"seq":1,"op":"segment"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e, back Entry
		if json.Unmarshal(data, &e) != nil {
			return
		}
		b, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &back); err != nil || back.Key != e.Key || !bytes.Equal(back.Value, e.Value) {
			t.Fatalf("%s: %v", b, err)
		}
	})
}
