package tier

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Where a ledger's objects are in its store, below the prefix that the store was opened with:
//
//	ledger.json                             whose ledger this is; made once
//	segments/<id>-<root, 16 hex>.seg        segment files as they are; made once each
//	tiles/<path of tlog-tiles>              tiles of the ledger tree; made once each
//	manifests/<size, 20 digits>-<SHA-256, 16 hex>.manifest
//	                                        states of the archive; made once each
//	checkpoints/<size, 20 digits>           checkpoints; made once each
//	checkpoint                              the newest checkpoint; replaced
//	latest                                  names the newest manifest; replaced
//	scratch/…                               what a preflight tries things with; swept
const (
	LedgerName     = "ledger.json"
	CheckpointName = "checkpoint"
	LatestName     = "latest"

	SegmentPrefix    = "segments/"
	TilePrefix       = "tiles/"
	ManifestPrefix   = "manifests/"
	CheckpointPrefix = "checkpoints/"
	ScratchPrefix    = "scratch/"

	segmentSuffix  = ".seg"
	manifestSuffix = ".manifest"
	rootDigits     = 16
	numberDigits   = 20 // of the largest uint64, so that names sort as numbers do
)

// SegmentName is where the segment of these entries, with this root, is. Files of the same entries may differ in bytes:
// the first one put is the object.
func SegmentName(firstSeq, lastSeq uint64, root merkle.Hash) string {
	id := tlog.SegmentID(firstSeq, lastSeq)
	return SegmentPrefix + id + "-" + hex.EncodeToString(root[:rootDigits/2]) + segmentSuffix
}

// ParsedSegment is what the name of a segment says.
type ParsedSegment struct {
	FirstSeq, LastSeq uint64
	Root              [rootDigits / 2]byte // the first bytes of the root
}

// ParseSegmentName reads what SegmentName writes, and refuses anything else with ErrInvalid.
func ParseSegmentName(name string) (p ParsedSegment, err error) {
	rest, ok1 := strings.CutPrefix(name, SegmentPrefix)
	rest, ok2 := strings.CutSuffix(rest, segmentSuffix)
	at := len(rest) - rootDigits - 1
	if !ok1 || !ok2 || at < 0 || rest[at] != '-' || strings.ToLower(rest[at:]) != rest[at:] {
		return p, notNamed("segment", name)
	}
	if p.FirstSeq, p.LastSeq, err = tlog.ParseSegmentID(rest[:at]); err != nil {
		return ParsedSegment{}, notNamed("segment", name)
	}
	if _, err = hex.Decode(p.Root[:], []byte(rest[at+1:])); err != nil {
		return ParsedSegment{}, notNamed("segment", name)
	}
	return p, nil
}

// TileName is where a tile of the ledger tree is.
func TileName(t merkle.Tile) string { return TilePrefix + t.Path() }

// ParseTileName reads what TileName writes, and refuses anything else with ErrInvalid.
func ParseTileName(name string) (merkle.Tile, error) {
	rest, ok := strings.CutPrefix(name, TilePrefix)
	t, err := merkle.ParseTilePath(rest)
	if !ok || err != nil {
		return merkle.Tile{}, notNamed("tile", name)
	}
	return t, nil
}

// ManifestName is where the archive's state of this tree size and SHA-256 is. The hash keeps states apart that were
// published at one size: by leaders that have merged more or less, or by a cluster and one that was restored from it.
func ManifestName(treeSize uint64, sha256 merkle.Hash) string {
	return fmt.Sprintf("%s%0*d-%s%s", ManifestPrefix, numberDigits, treeSize, hex.EncodeToString(sha256[:rootDigits/2]),
		manifestSuffix)
}

// ParsedManifest is what the name of a manifest says.
type ParsedManifest struct {
	TreeSize uint64
	SHA256   [rootDigits / 2]byte // the first bytes of it
}

// ParseManifestName reads what ManifestName writes, and refuses anything else with ErrInvalid.
func ParseManifestName(name string) (p ParsedManifest, err error) {
	rest, ok := strings.CutSuffix(name, manifestSuffix)
	number, digits, ok2 := strings.Cut(rest, "-")
	if p.TreeSize, err = parseNumber(number, ManifestPrefix); err != nil || !ok || !ok2 || len(digits) != rootDigits ||
		strings.ToLower(digits) != digits {
		return ParsedManifest{}, notNamed("manifest", name)
	}
	if _, err = hex.Decode(p.SHA256[:], []byte(digits)); err != nil {
		return ParsedManifest{}, notNamed("manifest", name)
	}
	return p, nil
}

// CheckpointNameAt is where the checkpoint of the tree of this size is.
func CheckpointNameAt(size uint64) string {
	return fmt.Sprintf("%s%0*d", CheckpointPrefix, numberDigits, size)
}

// ParseCheckpointName reads what CheckpointNameAt writes, and refuses anything else with ErrInvalid.
func ParseCheckpointName(name string) (size uint64, err error) {
	if size, err = parseNumber(name, CheckpointPrefix); err != nil {
		return 0, notNamed("checkpoint", name)
	}
	return size, nil
}

func parseNumber(name, prefix string) (uint64, error) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok || len(digits) != numberDigits {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(digits, 10, 64) // takes no sign and, in base 10, no underscore
}

func notNamed(what, name string) error {
	return fmt.Errorf("%w: %.80q is no name of a %s", ErrInvalid, name, what)
}
