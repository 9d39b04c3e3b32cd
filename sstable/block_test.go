package sstable

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// decodeBlock decodes into fresh memory, and into that of another block, which must be the same.
func decodeBlock(data []byte, first, last uint64) (*dataBlock, error) {
	fresh, used := new(dataBlock), new(dataBlock)
	kinds := []Entry{version("a/1", 9), version("a/2", 8), version("b/"+strings.Repeat("3", 300), 7)}
	kinds[1].ContentType, kinds[2].Principal = "text/html", "someone"
	var many blockBuilder
	for i := range kinds {
		many.add(&kinds[i], nil)
	}
	if err := used.decode(many.finish(nil), 0, 9); err != nil {
		return nil, err
	}
	err := fresh.decode(data, first, last)
	if again := used.decode(data, first, last); (err == nil) != (again == nil) || err == nil && !reflect.DeepEqual(fresh, used) {
		panic(fmt.Sprintf("%+v, %v; in memory that was used: %+v, %v", fresh, err, used, again))
	}
	return fresh, err
}

// blockOf encodes entries as they come, in order or not.
func blockOf(entries ...Entry) []byte {
	var b blockBuilder
	for i := range entries {
		e := &entries[i]
		e.ValueSize = uint64(len(e.Value))
		b.add(e, nil)
	}
	return b.finish(nil)
}

// kindAt sets the kind of the first of two entries of different kinds, with one-letter keys and values.
func kindAt(block []byte, kind byte) []byte {
	block[len(block)-4-2] = kind // two kinds of a byte each, two keys, two values
	return block
}

// lengthened makes the only value longer than the block.
func lengthened(e Entry) []byte {
	b := blockOf(e)
	b[3] = 0x7f // 1 + value length
	return b
}

// endsSwapped has values of one and two bytes whose ends are in the wrong order.
func endsSwapped() []byte {
	a, b, c := version("a", 1), version("b", 1), version("c", 1)
	a.Value = []byte("vv")
	block := blockOf(a, b, c)
	i := bytes.Index(block, []byte{2, 3, 4, 'a'})
	block[i], block[i+1] = 3, 2
	return block
}

func version(key string, seq uint64) Entry {
	e := put(key, []byte("v"))
	e.Seq = seq
	return e
}

func TestDecodeBlockRefuses(t *testing.T) {
	segment := func(seq uint64) Entry {
		e := version("id", seq)
		e.Op = tlog.OpSegment
		return e
	}
	long := strings.Repeat("k", tlog.MaxKeyBytes-2)
	var many []Entry
	for i := range uint64(maxBlockEntries + 1) {
		many = append(many, version("k", 5000-i))
	}
	whole := blockOf(version("a", 3), version("a", 2), version("b", 9))
	if _, err := decodeBlock(whole, 0, 9); err != nil {
		t.Fatal(err)
	}
	typed := version("b", 1)
	typed.ContentType = "text/html"
	none := version("a", 1)
	none.Op = 0
	for name, data := range map[string][]byte{
		"keys out of order":               blockOf(version("b", 1), version("a", 2)),
		"an entry twice":                  blockOf(version("a", 1), version("a", 1)),
		"versions out of order":           blockOf(version("a", 1), version("a", 2)),
		"segment entries out of order":    blockOf(segment(2), segment(1)),
		"keys behind segment entries":     blockOf(segment(1), version("z", 2)),
		"segment entries behind keys":     blockOf(version("a", 1), segment(2)),
		"a seq that is not the segment's": blockOf(version("a", 10)),
		"a later seq that is not":         blockOf(version("a", 3), version("b", 12)),
		"no op":                           blockOf(none),
		"no key":                          blockOf(version("", 1)),
		"a key too long":                  blockOf(version(long+"abc", 1)),
		"too many entries":                blockOf(many...),
		"no entries":                      blockOf(),
		"a byte too many":                 append(bytes.Clone(whole), 0),
		"a string that is not there": bytes.Replace(blockOf(version("a", 1)),
			[]byte{1, 1, 0, 0, 1, 'a'}, []byte{1, 1, 1, 0, 1, 'a'}, 1),
		"a kind that is not there": kindAt(blockOf(version("a", 1), typed), 2),
		"an endless value":         lengthened(version("a", 1)),
		"ends that go back":        endsSwapped(),
		"a reference that is none": func() []byte {
			var b blockBuilder
			e := version("a", 1)
			b.add(&e, &largeValue{size: MaxValueBytes + 1})
			return b.finish(nil)
		}(),
	} {
		if b, err := decodeBlock(data, 0, 9); err == nil {
			t.Errorf("%s: decodes to %d entries", name, b.count)
		}
	}
	for n := range whole {
		if _, err := decodeBlock(whole[:n], 0, 9); err == nil {
			t.Errorf("%d of %d bytes decode", n, len(whole))
		}
	}
}

// TestBlocksStayWithinTheLimits builds segments whose blocks would decode to more than a reader takes, were they not
// closed before.
func TestBlocksStayWithinTheLimits(t *testing.T) {
	long := strings.Repeat("k", tlog.MaxKeyBytes-4)
	var keys, versions []Entry
	for i := range 100 {
		keys = append(keys, put(fmt.Sprintf("%s%04x", long, i), nil))
	}
	for range 3000 {
		versions = append(versions, put(long, nil))
	}
	for name, entries := range map[string][]Entry{"long keys": keys, "many versions": versions} {
		m := newModel(0, entries)
		file, info := m.build(t, WriterOptions{BlockBytes: maxBlockBytes})
		table := open(t, file, Options{Expect: &info})
		if err := table.Verify(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range m.entries {
			if e, ok, err := table.Get(m.entries[i].Key, m.entries[i].Seq); err != nil || !ok || e.Seq != m.entries[i].Seq {
				t.Fatalf("%s: Get: %d, %v, %v", name, e.Seq, ok, err)
			}
		}
	}
}

// TestKeyThatReadsLikeASegment puts the id of the last segment entry as an ordinary key right behind it.
func TestKeyThatReadsLikeASegment(t *testing.T) {
	id := segmentEntry(3, 4)
	m := newModel(0, []Entry{id, put(string(id.Key), []byte("mine"))})
	file, _ := m.build(t, WriterOptions{})
	table := open(t, file, Options{})
	if e, ok, err := table.Get(id.Key, 1); err != nil || !ok || string(e.Value) != "mine" {
		t.Fatalf("%q, %v, %v", e.Value, ok, err)
	}
	if err := table.Verify(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if table.Keys() != 1 {
		t.Fatalf("%d keys", table.Keys())
	}
}

// TestLargestValue goes through a run of many blocks.
func TestLargestValue(t *testing.T) {
	value := bytes.Repeat([]byte("scribe ledger, "), 3*segfile.MaxBlockBytes/15+1)
	m := newModel(0, []Entry{put("big", value), put("small", nil)})
	file, _ := m.build(t, WriterOptions{})
	if e, ok, err := open(t, file, Options{}).Get([]byte("big"), 0); err != nil || !ok || !bytes.Equal(e.Value, value) {
		t.Fatalf("%d bytes of %d, %v, %v", len(e.Value), len(value), ok, err)
	}
}
