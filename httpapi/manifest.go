package httpapi

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"github.com/scribe-ledger/scribe/ledger"
)

// segmentJSON is a sealed segment as /v1/segments and /v1/manifest show it. A key stands in one of two fields, as in
// entries; both are absent when the segment holds no puts and deletes.
type segmentJSON struct {
	ID         string  `json:"id"`
	FirstSeq   uint64  `json:"first_seq"`
	LastSeq    uint64  `json:"last_seq"`
	Entries    uint64  `json:"entries"`
	Bytes      uint64  `json:"bytes"`
	MerkleRoot string  `json:"merkle_root"`
	MinKey     *string `json:"min_key,omitempty"`
	MinKeyB64  []byte  `json:"min_key_b64,omitempty"`
	MaxKey     *string `json:"max_key,omitempty"`
	MaxKeyB64  []byte  `json:"max_key_b64,omitempty"`
	Tier       string  `json:"tier"`
	Object     string  `json:"object"`
}

func segmentsJSON(infos []ledger.SegmentInfo) []segmentJSON {
	out := make([]segmentJSON, 0, len(infos))
	for i := range infos {
		s := &infos[i]
		j := segmentJSON{
			ID: s.ID, FirstSeq: s.FirstSeq, LastSeq: s.LastSeq, Entries: s.Entries, Bytes: s.Bytes,
			MerkleRoot: s.Root.String(), Tier: s.Tier, Object: s.Object,
		}
		j.MinKey, j.MinKeyB64 = keyJSON(s.MinKey)
		j.MaxKey, j.MaxKeyB64 = keyJSON(s.MaxKey)
		out = append(out, j)
	}
	return out
}

// keyJSON returns the form in which a key stands in JSON.
func keyJSON(key []byte) (text *string, b64 []byte) {
	switch {
	case len(key) == 0:
		return nil, nil
	case utf8.Valid(key):
		s := string(key)
		return &s, nil
	}
	return nil, key
}

// manifest answers /v1/manifest.
func (c *call) manifest() error {
	m := c.api.backend.Manifest()
	settings := m.Settings
	if settings == nil {
		settings = map[string]string{}
	}
	return c.sendValueJSON(http.StatusOK, struct {
		Version      uint64            `json:"version"`
		AppliedIndex uint64            `json:"applied_index"`
		TreeSize     uint64            `json:"tree_size"`
		Segments     []segmentJSON     `json:"segments"`
		Members      []memberJSON      `json:"members"`
		Settings     map[string]string `json:"settings"`
	}{m.Version, m.AppliedIndex, m.TreeSize, segmentsJSON(m.Segments),
		membersJSON(c.api.backend.Status().Members), settings})
}

// segments answers /v1/segments.
func (c *call) segments() error {
	return c.sendValueJSON(http.StatusOK, struct {
		Segments []segmentJSON `json:"segments"`
	}{segmentsJSON(c.api.backend.Manifest().Segments)})
}

// seal answers /v1/admin/seal. It takes as long as the seal does; the client's leaving ends it.
func (c *call) seal() error {
	result, err := c.api.backend.Seal(c.r.Context())
	if err != nil {
		return err
	}
	answer := struct {
		Segments      []string `json:"segments"`
		SealedThrough *uint64  `json:"sealed_through,omitempty"`
	}{Segments: result.Segments}
	if answer.Segments == nil {
		answer.Segments = []string{}
	}
	if result.Any {
		answer.SealedThrough = &result.SealedThrough
	}
	return c.sendValueJSON(http.StatusOK, answer)
}

// compact answers /v1/admin/compact. It takes as long as the merges do; the client's leaving ends the wait, not the merges.
func (c *call) compact() error {
	q, err := parseQuery(c.rawQuery())
	if err != nil {
		return err
	}
	full, err := q.flag("full")
	if err != nil {
		return err
	}
	result, err := c.api.backend.Compact(c.r.Context(), full)
	if err != nil {
		return err
	}
	answer := struct {
		Segments []string `json:"segments"`
		Merged   int      `json:"merged"`
		Left     int      `json:"left"`
	}{result.Segments, result.Merged, result.Left}
	if answer.Segments == nil {
		answer.Segments = []string{}
	}
	return c.sendValueJSON(http.StatusOK, answer)
}

// sendValueJSON encodes and sends the answer of a route that is seldom called.
func (c *call) sendValueJSON(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.sendJSON(status, append(body, '\n'))
	return nil
}
