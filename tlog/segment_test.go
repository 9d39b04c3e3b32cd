package tlog_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"pgregory.net/rapid"
)

func TestSegmentID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.Uint64().Draw(t, "last")
		first := rapid.Uint64Range(0, last).Draw(t, "first")
		id := tlog.SegmentID(first, last)
		f, l, err := tlog.ParseSegmentID(id)
		if err != nil || f != first || l != last {
			t.Fatalf("%s: %d, %d, %v", id, f, l, err)
		}
		if upper := strings.ToUpper(id); upper != id {
			if _, _, err := tlog.ParseSegmentID(upper); !errors.Is(err, tlog.ErrMalformed) {
				t.Fatalf("%s: %v", upper, err)
			}
		}
	})
	if id := tlog.SegmentID(10, 255); id != "000000000000000a-00000000000000ff" {
		t.Error(id)
	}
	for _, id := range []string{
		"", "-", "a-ff", "0000000000000001-0000000000000000", "0000000000000000_0000000000000001",
		"0000000000000000-000000000000001", "0000000000000000-00000000000000001", "+000000000000000-0000000000000001",
		"0x00000000000000-0000000000000001", "000000000000_000-0000000000000001", "000000000000000g-0000000000000001",
		" 00000000000000-00000000000000001", "0000000000000000-0000000000000001\n",
	} {
		if _, _, err := tlog.ParseSegmentID(id); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestDescriptor(t *testing.T) {
	d := tlog.Descriptor{FirstSeq: 0x0102030405060708, LastSeq: 0x0102030405060709, Entries: 2}
	copy(d.Root[:], strings.Repeat("\xee", merkle.HashSize))
	const want = "01020304050607080102030405060709" + "0000000000000002" +
		"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
	b := d.Append(nil)
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("encoded as %s, want %s", got, want)
	}
	if got, err := tlog.ParseDescriptor(b); err != nil || got != d {
		t.Errorf("parsed as %+v, %v", got, err)
	}
	if d.ID() != "0102030405060708-0102030405060709" {
		t.Errorf("id %s", d.ID())
	}
	for n := range b {
		if _, err := tlog.ParseDescriptor(b[:n]); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, bad := range []tlog.Descriptor{
		{FirstSeq: 1, LastSeq: 0, Entries: 0},
		{FirstSeq: 5, LastSeq: 4, Entries: 0},
		{FirstSeq: 0, LastSeq: 0, Entries: 0},
		{FirstSeq: 0, LastSeq: 9, Entries: 9},
		{FirstSeq: 0, LastSeq: 9, Entries: 11},
		{FirstSeq: 0, LastSeq: ^uint64(0), Entries: 0}, // the count wraps
	} {
		if _, err := tlog.ParseDescriptor(bad.Append(nil)); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func FuzzParseDescriptor(f *testing.F) {
	d := tlog.Descriptor{FirstSeq: 7, LastSeq: 9, Entries: 3}
	f.Add(d.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := tlog.ParseDescriptor(b)
		if err != nil {
			if !errors.Is(err, tlog.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if again := d.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x is read, but written as %x", b, again)
		}
		if first, last, err := tlog.ParseSegmentID(d.ID()); err != nil || first != d.FirstSeq || last != d.LastSeq {
			t.Fatalf("id %s: %d, %d, %v", d.ID(), first, last, err)
		}
	})
}
