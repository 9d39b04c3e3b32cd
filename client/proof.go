package client

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Bounds of a proof document. The longest record is under 5 KiB and a path has one hash a level.
const (
	maxProofBytes  = 256 << 10
	maxProofHashes = 64
)

// Proof is the answer of /verify/<key>, parsed but not checked. What the server says of its own check is left out.
type Proof struct {
	Key       string
	Seq       uint64
	Record    []byte // canonical record
	LeafHash  merkle.Hash
	ValueHash merkle.Hash
	Ledger    LedgerProof
	Segment   *SegmentProof // nil until the entry is in a sealed segment
}

// LedgerProof is a leaf's place in the ledger tree.
type LedgerProof struct {
	Index      uint64
	TreeSize   uint64
	Root       merkle.Hash
	Proof      []merkle.Hash // leaf to root, RFC 6962 §2.1.1
	Checkpoint string        // note text
}

// SegmentProof is a leaf's place in the tree of its segment.
type SegmentProof struct {
	ID      string
	Ordinal uint64
	Entries uint64
	Root    merkle.Hash
	Proof   []merkle.Hash
}

type wireProof struct {
	Key       *string  `json:"key"`
	KeyB64    *string  `json:"key_b64"`
	Seq       *uint64  `json:"seq"`
	Record    *string  `json:"record"`
	LeafHash  wireHash `json:"leaf_hash"`
	ValueHash wireHash `json:"value_sha256"`
	Ledger    *struct {
		Index      *uint64    `json:"index"`
		TreeSize   *uint64    `json:"tree_size"`
		Root       wireHash   `json:"root"`
		Proof      []wireHash `json:"proof"`
		Checkpoint *string    `json:"checkpoint"`
	} `json:"ledger"`
	Segment *struct {
		ID      *string    `json:"id"`
		Ordinal *uint64    `json:"ordinal"`
		Entries *uint64    `json:"entries"`
		Root    wireHash   `json:"root"`
		Proof   []wireHash `json:"proof"`
	} `json:"segment"`
}

// wireHash is 64 lower-case hex digits; empty when its member is missing.
type wireHash string

func (w wireHash) hash() (h merkle.Hash, err error) {
	if len(w) != 2*merkle.HashSize || strings.ToLower(string(w)) != string(w) {
		return h, fmt.Errorf("a hash is %d lower-case hex digits, not %.80q", 2*merkle.HashSize, string(w))
	}
	_, err = hex.Decode(h[:], []byte(w))
	return h, err
}

// ParseProof reads a proof document. It accepts members it does not know, and no other looseness: every known member
// must be there (segment may be null), hex lower-case, base64 canonical, and everything within the bounds of a real
// proof. The error says what is wrong; it is a *ProofError.
func ParseProof(data []byte) (*Proof, error) {
	if len(data) > maxProofBytes {
		return nil, refuse("document", "it has %d bytes, want at most %d", len(data), maxProofBytes)
	}
	var w wireProof
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, refuse("document", "it cannot be read: %w", err)
	}
	key, hasKey, err := joinBytes(w.Key, w.KeyB64)
	if err != nil {
		return nil, refuse("document", "key: %w", err)
	}
	if !hasKey || w.Seq == nil || w.Record == nil || w.Ledger == nil ||
		w.Ledger.Index == nil || w.Ledger.TreeSize == nil || w.Ledger.Proof == nil || w.Ledger.Checkpoint == nil {
		return nil, refuse("document", "one of key, seq, record and ledger's members is missing")
	}
	p := &Proof{Key: key, Seq: *w.Seq}
	if p.Record, err = decodeRecord(*w.Record); err != nil {
		return nil, refuse("document", "record: %w", err)
	}
	if p.LeafHash, err = w.LeafHash.hash(); err != nil {
		return nil, refuse("document", "leaf_hash: %w", err)
	}
	if p.ValueHash, err = w.ValueHash.hash(); err != nil {
		return nil, refuse("document", "value_sha256: %w", err)
	}
	p.Ledger = LedgerProof{Index: *w.Ledger.Index, TreeSize: *w.Ledger.TreeSize, Checkpoint: *w.Ledger.Checkpoint}
	if p.Ledger.Root, p.Ledger.Proof, err = parsePath(w.Ledger.Root, w.Ledger.Proof); err != nil {
		return nil, refuse("document", "ledger: %w", err)
	}
	if w.Segment == nil {
		return p, nil
	}
	s := w.Segment
	if s.ID == nil || s.Ordinal == nil || s.Entries == nil || s.Proof == nil {
		return nil, refuse("document", "a member of segment is missing")
	}
	p.Segment = &SegmentProof{ID: *s.ID, Ordinal: *s.Ordinal, Entries: *s.Entries}
	if p.Segment.Root, p.Segment.Proof, err = parsePath(s.Root, s.Proof); err != nil {
		return nil, refuse("document", "segment: %w", err)
	}
	return p, nil
}

func decodeRecord(s string) ([]byte, error) {
	if len(s) > tlog.MaxRecordBytes/3*4+4 {
		return nil, errors.New("it is longer than any record")
	}
	return decodeBase64(s)
}

func parsePath(root wireHash, proof []wireHash) (r merkle.Hash, hashes []merkle.Hash, err error) {
	if r, err = root.hash(); err != nil {
		return r, nil, fmt.Errorf("root: %w", err)
	}
	if len(proof) > maxProofHashes {
		return r, nil, fmt.Errorf("a proof of %d hashes, want at most %d", len(proof), maxProofHashes)
	}
	hashes = make([]merkle.Hash, len(proof))
	for i, w := range proof {
		if hashes[i], err = w.hash(); err != nil {
			return r, nil, fmt.Errorf("proof: %w", err)
		}
	}
	return r, hashes, nil
}

// ProofError says why a proof is refused.
type ProofError struct {
	Step string // "record", "ledger", …: what was being checked
	Err  error
}

func (e *ProofError) Error() string { return "the proof is refused: " + e.Step + ": " + e.Err.Error() }

func (e *ProofError) Unwrap() error { return e.Err }

func refuse(step, format string, args ...any) *ProofError {
	return &ProofError{Step: step, Err: fmt.Errorf(format, args...)}
}
