package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
)

// RangeOptions bound a scan over keys. The scan sees the newest live versions as of its beginning, or of AsOfSeq.
type RangeOptions struct {
	Prefix, Start, End string  // all that are given must hold; End is exclusive
	AsOfSeq            *uint64 // nil is now
	Limit              uint64  // entries in all; 0 is no limit
	PageSize           uint64  // entries a request; 0 is 1,000
	Reverse            bool    // from the last key to the first
	KeysOnly           bool    // leave values out
	Consistency
}

// HistoryOptions bound a walk over the versions of a key.
type HistoryOptions struct {
	Before   *uint64 // only versions with a smaller seq; nil is all
	Limit    uint64  // versions in all; 0 is no limit
	PageSize uint64  // versions a request; 0 is 1,000
	Values   bool    // with their values
	Consistency
}

// EntriesOptions bound a walk over the ledger.
type EntriesOptions struct {
	From     uint64 // first seq
	Limit    uint64 // entries in all; 0 is no limit
	PageSize uint64 // entries a request; 0 is 1,000
	KeysOnly bool   // leave values out
	Consistency
}

const defaultPageSize = 1000

// The lists are read page by page, not as one stream: a page can be asked for again, of another endpoint, when its
// node goes away. A walk ends at its first error. The keys and seqs are checked to be in order and, in Entries, to
// have no gap, as a merge at the server might lose or repeat one.

// Range walks the live keys of a range in order. Errors: *Error, *ProtocolError.
func (c *Client) Range(ctx context.Context, o RangeOptions) iter.Seq2[*Entry, error] {
	return c.walk(ctx, o.Limit, o.PageSize, func() walker { return &rangeWalk{o: o} })
}

// History walks the versions of a key, newest first, tombstones included. A key never written is an *Error with
// CodeKeyNotFound.
func (c *Client) History(ctx context.Context, key string, o HistoryOptions) iter.Seq2[*Entry, error] {
	return c.walk(ctx, o.Limit, o.PageSize, func() walker { return &historyWalk{o: o, key: key} })
}

// Entries walks the ledger in seq order.
func (c *Client) Entries(ctx context.Context, o EntriesOptions) iter.Seq2[*Entry, error] {
	return c.walk(ctx, o.Limit, o.PageSize, func() walker { return &entriesWalk{o: o} })
}

// walker is one walk over a list.
type walker interface {
	// target is the request for the next page, of at most limit entries.
	target(limit uint64, cursor string) string
	// accept sees every entry before it is yielded, and says what is wrong with its place in the list.
	accept(e *Entry) error
}

type rangeWalk struct {
	o    RangeOptions
	last *Entry
}

func (w *rangeWalk) target(limit uint64, cursor string) string {
	var q query
	for _, p := range [][2]string{{"prefix", w.o.Prefix}, {"start", w.o.Start}, {"end", w.o.End}, {"cursor", cursor}} {
		if p[1] != "" {
			q.add(p[0], p[1])
		}
	}
	if w.o.AsOfSeq != nil {
		q.addUint("as_of_seq", *w.o.AsOfSeq)
	}
	q.addUint("limit", limit)
	q.addFlag("reverse", w.o.Reverse)
	q.addFlag("keys_only", w.o.KeysOnly)
	w.o.Consistency.addTo(&q)
	return "/v1/range" + q.String()
}

func (w *rangeWalk) accept(e *Entry) error {
	if w.last != nil {
		order := strings.Compare(w.last.Key, e.Key)
		if order == 0 || (order > 0) != w.o.Reverse {
			return fmt.Errorf("the key %q comes after %q", e.Key, w.last.Key)
		}
	}
	if !strings.HasPrefix(e.Key, w.o.Prefix) || e.Key < w.o.Start || (w.o.End != "" && e.Key >= w.o.End) {
		return fmt.Errorf("the key %q is not in the range", e.Key)
	}
	w.last = e
	return nil
}

type historyWalk struct {
	o   HistoryOptions
	key string
}

func (w *historyWalk) target(limit uint64, _ string) string {
	var q query
	q.addUint("limit", limit)
	if w.o.Before != nil {
		q.addUint("before", *w.o.Before)
	}
	q.addFlag("values", w.o.Values)
	w.o.Consistency.addTo(&q)
	return keyPath("/v1/history/", w.key) + q.String()
}

func (w *historyWalk) accept(e *Entry) error {
	if e.Key != w.key {
		return fmt.Errorf("entry %d is of the key %q", e.Seq, e.Key)
	}
	if w.o.Before != nil && e.Seq >= *w.o.Before {
		return fmt.Errorf("entry %d comes where one before %d should", e.Seq, *w.o.Before)
	}
	w.o.Before = &e.Seq
	return nil
}

type entriesWalk struct{ o EntriesOptions }

func (w *entriesWalk) target(limit uint64, _ string) string {
	var q query
	q.addUint("from", w.o.From)
	q.addUint("limit", limit)
	q.addFlag("keys_only", w.o.KeysOnly)
	w.o.Consistency.addTo(&q)
	return "/v1/entries" + q.String()
}

func (w *entriesWalk) accept(e *Entry) error {
	if e.Seq != w.o.From {
		return fmt.Errorf("entry %d comes where %d should", e.Seq, w.o.From)
	}
	w.o.From++
	return nil
}

// walk yields the entries of one page after another. Every walk over the iterator begins anew.
func (c *Client) walk(ctx context.Context, limit, pageSize uint64, begin func() walker) iter.Seq2[*Entry, error] {
	if pageSize == 0 {
		pageSize = defaultPageSize
	}
	return func(yield func(*Entry, error) bool) {
		w, left, cursor := begin(), limit, ""
		for {
			n := pageSize
			if limit > 0 {
				n = min(n, left)
			}
			path := w.target(n, cursor)
			entries, next, err := c.page(ctx, path, n)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range entries {
				if err := w.accept(e); err != nil {
					yield(nil, &ProtocolError{Path: path, Problem: err.Error()})
					return
				}
				if !yield(e, nil) {
					return
				}
			}
			left -= min(left, uint64(len(entries)))
			if next == "" || (limit > 0 && left == 0) {
				return
			}
			cursor = next
		}
	}
}

// page reads one page. One that says there is more holds an entry, so that a walk always gets on.
func (c *Client) page(ctx context.Context, path string, limit uint64) (entries []*Entry, next string, err error) {
	a, err := c.do(ctx, &call{method: http.MethodGet, target: path})
	if err != nil {
		return nil, "", err
	}
	var page struct {
		Entries []*Entry `json:"entries"`
		Next    string   `json:"next"`
	}
	if err := json.Unmarshal(a.body, &page); err != nil {
		return nil, "", &ProtocolError{Path: path, Problem: "the page cannot be read: " + err.Error()}
	}
	for _, e := range page.Entries {
		if e == nil {
			return nil, "", &ProtocolError{Path: path, Problem: "an entry is null"}
		}
	}
	if uint64(len(page.Entries)) > limit {
		return nil, "", &ProtocolError{Path: path, Problem: "there are more entries than asked for"}
	}
	if page.Next != "" && len(page.Entries) == 0 {
		return nil, "", &ProtocolError{Path: path, Problem: "an empty page says that there is more"}
	}
	return page.Entries, page.Next, nil
}
