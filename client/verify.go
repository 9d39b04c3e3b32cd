package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// VerifyOptions say what Verify is to show.
type VerifyOptions struct {
	Seq      *uint64 // of that version; nil is the one the server takes for the newest
	Value    []byte  // when HasValue is set: the version must have this value
	HasValue bool
	NoValue  bool // do not fetch the value of a put to check it; only its hash is known then
}

// Verify fetches a version's proof, checks it with this package's own code, and checks that its checkpoint and the
// pinned one are of the same history; then the newer of the two is pinned. The package's documentation says what that
// proves. A proof that is refused is a *ProofError, another history a *ForkError; the Evidence beside an error, when it
// is not nil, holds the steps that passed before it and proves nothing.
func (c *Client) Verify(ctx context.Context, key string, o VerifyOptions) (*Evidence, error) {
	p, err := c.FetchProof(ctx, key, o.Seq)
	if err != nil {
		return nil, err
	}
	claim := Claim{Key: key, Seq: o.Seq, Value: o.Value, HasValue: o.HasValue}
	e, err := p.Check(claim)
	if err != nil {
		return e, err
	}
	if !claim.HasValue && !o.NoValue && e.Record.Op == tlog.OpPut {
		v, err := c.Get(ctx, key, GetOptions{Version: AtSeq(e.Record.Seq)})
		if err != nil {
			return e, fmt.Errorf("reading the value of entry %d: %w", e.Record.Seq, err)
		}
		// The same checks again, in their order, with the value among them.
		claim.Value, claim.HasValue = v.Data, true
		if e, err = p.Check(claim); err != nil {
			return e, err
		}
	}
	return e, c.accept(ctx, e)
}

// FetchProof reads the proof of a key's newest version, or of the version with that seq. It is parsed, not checked.
func (c *Client) FetchProof(ctx context.Context, key string, seq *uint64) (*Proof, error) {
	target := keyPath("/verify/", key)
	if seq != nil {
		target += "?seq=" + strconv.FormatUint(*seq, 10)
	}
	a, err := c.do(ctx, &call{method: http.MethodGet, target: target, limit: maxProofBytes})
	if err != nil {
		return nil, err
	}
	p, err := ParseProof(a.body)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Pin is the newest checkpoint accepted so far; the zero value when there is none. Kept, and handed to a later
// client's Options.Pin, it binds what that client accepts to the same history.
func (c *Client) Pin() tlog.Checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pin
}

// SetPin replaces the pin by one that the caller trusts: what a state file holds, or a checkpoint that came by another
// way than from this server.
func (c *Client) SetPin(pin tlog.Checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pin = pin
}

// ForkError says that a server showed a checkpoint that is not of the history pinned before. Either the ledger was
// replaced or rewritten, or two histories are being shown. Keep both checkpoints: they are the evidence.
type ForkError struct {
	Pinned, Seen tlog.Checkpoint
	Err          error
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("the ledger is not the one seen before: pinned %s of %d entries, root %s; "+
		"now %s of %d, root %s: %v",
		e.Pinned.Origin, e.Pinned.Size, e.Pinned.Root, e.Seen.Origin, e.Seen.Size, e.Seen.Root, e.Err)
}

func (e *ForkError) Unwrap() error { return e.Err }

// accept checks the checkpoint of e against the pin and pins the newer of them. The consistency proof is fetched
// without the lock; when the pin has moved on meanwhile, the check is made again against the new one.
func (c *Client) accept(ctx context.Context, e *Evidence) error {
	seen := e.Checkpoint
	for {
		pin := c.Pin()
		if pin.Origin != "" {
			if err := c.consistent(ctx, pin, seen); err != nil {
				return err
			}
		}
		c.mu.Lock()
		moved := c.pin != pin
		if !moved && (pin.Origin == "" || seen.Size > pin.Size) {
			c.pin = seen
		}
		c.mu.Unlock()
		if moved {
			continue
		}
		if pin.Origin == "" {
			e.passed("history", "no earlier checkpoint is known; this one is trusted from now on")
			return nil
		}
		e.Pinned = true
		e.passed("history", "of one history with the pinned checkpoint of %d entries, root %s", pin.Size, pin.Root)
		return nil
	}
}

// consistent checks that the smaller of two checkpoints is a prefix of the larger. A smaller one than the pin is no
// mistake: a node may lag behind the one asked before.
func (c *Client) consistent(ctx context.Context, pin, seen tlog.Checkpoint) error {
	if pin.Origin != seen.Origin {
		return &ForkError{Pinned: pin, Seen: seen, Err: refuse("history", "the origin is another")}
	}
	from, to := pin, seen
	if from.Size > to.Size {
		from, to = to, from
	}
	var proof []merkle.Hash
	if from.Size > 0 && from.Size < to.Size {
		var err error
		proof, err = c.fetchConsistency(ctx, from.Size, to.Size)
		switch {
		case err != nil && seen.Size < pin.Size && IsCode(err, CodeBadRequest):
			return fmt.Errorf("the pinned checkpoint has %d entries and there are only %d here: ask again once the rest is here, "+
				"or where it is: %w", pin.Size, seen.Size, err)
		case err != nil:
			return fmt.Errorf("checking against the pinned checkpoint of %d entries: %w", pin.Size, err)
		}
	}
	// The roots are those of the checkpoints at hand, not those that the server sends with the proof.
	if err := merkle.VerifyConsistency(from.Size, to.Size, from.Root, to.Root, proof); err != nil {
		return &ForkError{Pinned: pin, Seen: seen, Err: refuse("history", "%w", err)}
	}
	return nil
}

func (c *Client) fetchConsistency(ctx context.Context, from, to uint64) ([]merkle.Hash, error) {
	var q query
	q.addUint("from", from)
	q.addUint("to", to)
	a, err := c.do(ctx, &call{method: http.MethodGet, target: "/v1/proof/consistency" + q.String(), limit: maxProofBytes})
	if err != nil {
		return nil, err
	}
	return parseConsistency(a.body, from, to)
}

// parseConsistency reads a consistency proof as strictly as ParseProof reads the other.
func parseConsistency(data []byte, from, to uint64) ([]merkle.Hash, error) {
	var w struct {
		From  *uint64    `json:"from"`
		To    *uint64    `json:"to"`
		Root  wireHash   `json:"to_root"`
		Proof []wireHash `json:"proof"`
	}
	if len(data) > maxProofBytes {
		return nil, refuse("history", "the answer has %d bytes, want at most %d", len(data), maxProofBytes)
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, refuse("history", "the answer cannot be read: %w", err)
	}
	if w.From == nil || w.To == nil || *w.From != from || *w.To != to {
		return nil, refuse("history", "the answer is not from %d to %d", from, to)
	}
	_, hashes, err := parsePath(w.Root, w.Proof)
	if err != nil {
		return nil, refuse("history", "%w", err)
	}
	return hashes, nil
}
