package client

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
)

// Op is what an entry did.
type Op string

const (
	OpPut     Op = "put"
	OpDelete  Op = "delete"
	OpSegment Op = "segment" // the ledger's own record of a sealed segment
)

// Entry is one entry of the ledger. Its JSON form is the contract's.
type Entry struct {
	Seq         uint64
	Time        time.Time // whole microseconds, UTC
	Op          Op
	Key         string
	Value       []byte // when HasValue is set
	HasValue    bool
	Size        uint64 // bytes of the value, known without it
	ContentType string
	Principal   string
	LeafHash    merkle.Hash
}

type wireEntry struct {
	Seq         *uint64 `json:"seq"`
	Time        string  `json:"time"`
	Op          Op      `json:"op"`
	Key         *string `json:"key,omitempty"`
	KeyB64      *string `json:"key_b64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueB64    *string `json:"value_b64,omitempty"`
	Size        *uint64 `json:"size,omitempty"`
	ContentType string  `json:"content_type,omitempty"`
	Principal   string  `json:"principal,omitempty"`
	LeafHash    string  `json:"leaf_hash"`
}

// MarshalJSON writes the entry as the server does.
func (e *Entry) MarshalJSON() ([]byte, error) {
	w := wireEntry{Seq: &e.Seq, Time: e.Time.UTC().Format(timeLayout), Op: e.Op, Size: &e.Size,
		ContentType: e.ContentType, Principal: e.Principal, LeafHash: e.LeafHash.String()}
	w.Key, w.KeyB64 = splitBytes(e.Key)
	if e.HasValue {
		w.Value, w.ValueB64 = splitBytes(string(e.Value))
	}
	return json.Marshal(&w)
}

// UnmarshalJSON reads an entry as the server writes it.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var w wireEntry
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.Seq == nil {
		return fmt.Errorf("client: an entry has no seq")
	}
	out := Entry{Seq: *w.Seq, Op: w.Op, ContentType: w.ContentType, Principal: w.Principal}
	if w.Op != OpPut && w.Op != OpDelete && w.Op != OpSegment {
		return fmt.Errorf("client: entry %d has the op %.20q", out.Seq, w.Op)
	}
	var err error
	if out.Time, err = parseTime(w.Time); err != nil {
		return fmt.Errorf("client: entry %d: %w", out.Seq, err)
	}
	var hasKey bool
	if out.Key, hasKey, err = joinBytes(w.Key, w.KeyB64); err != nil {
		return fmt.Errorf("client: entry %d has no readable key: %w", out.Seq, err)
	}
	if !hasKey {
		return fmt.Errorf("client: entry %d has no key", out.Seq)
	}
	value, hasValue, err := joinBytes(w.Value, w.ValueB64)
	if err != nil {
		return fmt.Errorf("client: entry %d has no readable value: %w", out.Seq, err)
	}
	if hasValue {
		out.Value, out.HasValue = []byte(value), true
	}
	if w.Size != nil {
		out.Size = *w.Size
	}
	if hasValue && out.Size != uint64(len(out.Value)) {
		return fmt.Errorf("client: entry %d has %d bytes of value, but says %d", out.Seq, len(out.Value), out.Size)
	}
	if out.LeafHash, err = merkle.ParseHash(w.LeafHash); err != nil {
		return fmt.Errorf("client: entry %d: leaf_hash: %w", out.Seq, err)
	}
	*e = out
	return nil
}
