package archive

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

var update = flag.Bool("update", false, "write golden files anew")

func goldenIdentity() Identity {
	const id = "0123456789abcdef0123456789abcdef"
	return Identity{Format: 1, LedgerID: id, Origin: "scribe/" + id}
}

func goldenLatest() Latest {
	sum := merkle.Hash{0x1f, 0x2e, 0x3d, 0x4c, 0x5b, 0x6a, 0x79, 0x88, 0x97}
	return Latest{Version: 7, LedgerID: goldenIdentity().LedgerID, TreeSize: 1_000_000, Root: merkle.Hash{1, 2, 3, 31: 32},
		Manifest: tier.ManifestName(1_000_000, sum), ManifestBytes: 54_321, ManifestSHA256: sum,
		Owner: Owner{Cluster: "fedcba9876543210fedcba9876543210", Since: 5, Restored: merkle.Hash{9, 8, 7, 31: 1}}}
}

// TestGolden holds the formats that outlive the program.
func TestGolden(t *testing.T) {
	id, latest := goldenIdentity(), goldenLatest()
	for name, encode := range map[string]func() ([]byte, error){"ledger.json": id.encode, "latest": latest.encode} {
		got, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is now\n%s", name, got)
		}
	}
	b, _ := latest.encode()
	if got, err := decodeLatest(b); err != nil || got != latest {
		t.Errorf("%+v, %v", got, err)
	}
	b, _ = id.encode()
	if got, err := decodeIdentity(b); err != nil || got != id {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestLatestWithoutOwner: nobody is the owner of what was published before there were owners, and it is written as it was.
func TestLatestWithoutOwner(t *testing.T) {
	was, err := os.ReadFile(filepath.Join("testdata", "latest-unowned"))
	if err != nil {
		t.Fatal(err)
	}
	latest := goldenLatest()
	latest.Owner = Owner{}
	got, err := decodeLatest(was)
	if err != nil || got != latest || !got.Owner.Lets("anybody") {
		t.Fatalf("%+v, %v", got, err)
	}
	if b, err := got.encode(); err != nil || !bytes.Equal(b, was) {
		t.Errorf("%s, %v", b, err)
	}
	for name, o := range map[string]Owner{
		"without a name":     {Since: 3},
		"restored by nobody": {Restored: merkle.Hash{1}},
		"since no version":   {Cluster: "c"},
		"since a later one":  {Cluster: "c", Since: 8},
		"with a long name":   {Cluster: strings.Repeat("c", 10_000), Since: 1},
	} {
		latest.Owner = o
		if b, err := latest.encode(); err == nil {
			t.Errorf("an owner %s is written: %s", name, b)
		}
	}
}

// TestLaterFormat: what a later program has written is refused as that, whatever else is in it.
func TestLaterFormat(t *testing.T) {
	id, latest := goldenIdentity(), goldenLatest()
	for _, encode := range []func() ([]byte, error){id.encode, latest.encode} {
		b, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		later := strings.Replace(string(b), `"format": 1,`, `"format": 2, "more": [1, 2],`, 1)
		_, err1 := decodeIdentity([]byte(later))
		_, err2 := decodeLatest([]byte(later))
		if !errors.Is(err1, ErrFormat) || !errors.Is(err2, ErrFormat) {
			t.Errorf("%v, %v", err1, err2)
		}
	}
}

// FuzzLatest: what is read is written the same again.
func FuzzLatest(f *testing.F) {
	latest := goldenLatest()
	b, _ := latest.encode()
	f.Add(b)
	f.Add(bytes.Replace(b, []byte("1000000"), []byte("1000001"), 1))
	f.Add([]byte("{}"))
	f.Add(bytes.Replace(b, []byte(`"cluster_since": 5`), []byte(`"cluster_since": 50`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeLatest(b)
		if err != nil {
			return
		}
		again, err := l.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeLatest(again); err != nil || !reflect.DeepEqual(got, l) {
			t.Fatalf("%+v is %+v, %v", l, got, err)
		}
	})
}

// FuzzIdentity: what is read is written the same again.
func FuzzIdentity(f *testing.F) {
	id := goldenIdentity()
	b, _ := id.encode()
	f.Add(b)
	f.Add([]byte(`{"format":1,"ledger_id":"a","origin":"b\n"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := decodeIdentity(b)
		if err != nil {
			return
		}
		again, err := id.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeIdentity(again); err != nil || got != id {
			t.Fatalf("%+v is %+v, %v", id, got, err)
		}
	})
}

// TestWrongNotes: what is wrong with a pointer is told without the names of Go's types.
func TestWrongNotes(t *testing.T) {
	for text, want := range map[string]string{
		`[1, 2]`:                        "it is a JSON array, not an object",
		`"latest"`:                      "it is a JSON string, not an object",
		`{"format": "1"}`:               "its format cannot be a JSON string",
		`{"format": 1, "version": "7"}`: "its version cannot be a JSON string",
		`{"format": 1, "version": -7}`:  "its version cannot be a JSON number -7",
		`{"format": 1, "colour": "no"}`: `unknown field "colour"`,
		`{"format": 1`:                  "unexpected end",
	} {
		_, err := decodeLatest([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Go ") ||
			strings.Contains(err.Error(), "struct") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
