package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
)

const (
	format = 1
	// maxNoteBytes bounds what is read as ledger.json or latest.
	maxNoteBytes = 16 << 10
)

// Identity says whose ledger a store holds: ledger.json, made once.
type Identity struct {
	Format   int    `json:"format"` // 0 to Claim is the one that it writes
	LedgerID string `json:"ledger_id"`
	Origin   string `json:"origin"` // first line of all its checkpoints
}

// Claim makes the store the archive of a ledger, unless it is: it puts ledger.json if there is none. *ForeignError when it
// is another ledger's, *vfs.CorruptError when ledger.json cannot be read, and the store's errors.
func Claim(ctx context.Context, s tier.Store, id Identity) error {
	id.Format = format
	b, err := id.encode()
	if err != nil {
		return err
	}
	_, _, err = tier.PutSame(ctx, s, tier.LedgerName, tier.BytesBody(b), tier.PutOptions{})
	if errors.Is(err, tier.ErrChanged) { // it is there and differs, if only in how it is written
		return checkIdentity(ctx, s, id)
	}
	if err != nil {
		return failed(s, "claim it", err)
	}
	return nil
}

// ReadIdentity returns what ledger.json says. tier.ErrNotFound when there is none.
func ReadIdentity(ctx context.Context, s tier.Store) (Identity, error) {
	b, _, err := tier.ReadAll(ctx, s, tier.LedgerName, maxNoteBytes)
	if isDamage(err) {
		return Identity{}, damaged(s, tier.LedgerName, "%v; %s", err, restoreLedger)
	}
	if err != nil {
		return Identity{}, failed(s, "read whose it is", err)
	}
	id, err := decodeIdentity(b)
	if errors.Is(err, ErrFormat) {
		return Identity{}, failed(s, tier.LedgerName, err)
	}
	if err != nil {
		return Identity{}, damaged(s, tier.LedgerName, "%v; %s", err, restoreLedger)
	}
	return id, nil
}

const restoreLedger = "put back the object that was there: its ledger id and origin are those of the checkpoints"

// checkIdentity refuses another ledger's archive.
func checkIdentity(ctx context.Context, s tier.Store, want Identity) error {
	has, err := ReadIdentity(ctx, s)
	if err != nil {
		return err
	}
	if has.LedgerID != want.LedgerID || has.Origin != want.Origin {
		return &ForeignError{Store: s.Name(), Has: has, Want: want}
	}
	return nil
}

// isDamage says of an error of reading an object whole that its bytes are not what they should be.
func isDamage(err error) bool {
	return errors.Is(err, tier.ErrMismatch) || errors.Is(err, tier.ErrTooLarge)
}

func (id *Identity) encode() ([]byte, error) {
	if err := id.check(); err != nil {
		return nil, err
	}
	return encodeNote(id)
}

func decodeIdentity(b []byte) (id Identity, err error) {
	if err = decodeNote(b, &id); err == nil {
		err = id.check()
	}
	return id, err
}

func (id *Identity) check() error {
	if id.LedgerID == "" || len(id.LedgerID) > manifest.MaxNameBytes {
		return fmt.Errorf("archive: ledger id %.80q", id.LedgerID)
	}
	c := tlog.Checkpoint{Origin: id.Origin}
	_, err := c.Text()
	return err
}

// encodeNote writes a small object: JSON, for people too.
func encodeNote(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

// decodeNote reads what encodeNote wrote, all of it, and knows every field; ErrFormat for that of another format.
func decodeNote(b []byte, v any) error {
	var which struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &which); err != nil {
		return notWritten(err)
	}
	if which.Format != format {
		return fmt.Errorf("%w %d, this program knows %d", ErrFormat, which.Format, format)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return notWritten(err)
	}
	return nil
}

// notWritten says what of a small object is not as encodeNote writes it, in words of JSON and not of this program.
func notWritten(err error) error {
	const text = "it is not what is written there: "
	var wrong *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &wrong):
		return fmt.Errorf(text+"%w", err)
	case wrong.Field == "":
		return fmt.Errorf(text+"it is a JSON %s, not an object", wrong.Value)
	}
	return fmt.Errorf(text+"its %s cannot be a JSON %s", wrong.Field, wrong.Value)
}
