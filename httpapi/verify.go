package httpapi

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"path"
	"strconv"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// verify answers /verify/<key>: a proof that was checked here before it goes out.
func (c *call) verify() error {
	key, err := c.readKey()
	if err != nil {
		return err
	}
	q, err := parseQuery(c.rawQuery())
	if err != nil {
		return err
	}
	sel, err := q.selector()
	if err != nil {
		return err
	}
	if sel.Kind != ledger.Newest && sel.Kind != ledger.BySeq {
		return badRequest("a proof is for the newest version, or for one picked by seq")
	}
	if err := c.barrier(&q); err != nil {
		return err
	}
	proof, err := c.api.backend.Prove(key, sel)
	if err != nil {
		return err
	}
	record, err := checkProof(proof, key)
	if err != nil {
		return err
	}
	c.out = appendProof(c.out[:0], proof, &record)
	c.sendJSON(http.StatusOK, c.out)
	return nil
}

// checkProof does what a client does, with the same code: record, leaf, and the way from the leaf to both roots. A
// proof that fails means that stored hashes or records are damaged.
func checkProof(p *ledger.Proof, key []byte) (tlog.Record, error) {
	damaged := func(what string) error { return &vfs.CorruptError{File: "ledger tree", Reason: what} }
	record, err := tlog.ParseRecord(p.Record)
	if err != nil {
		return record, damaged("the record does not parse: " + err.Error())
	}
	if !bytes.Equal(record.Key, key) || record.Seq != p.Entry.Seq {
		return record, damaged("the record is of another entry")
	}
	if merkle.LeafHash(p.Record) != p.Leaf {
		return record, damaged("the leaf hash is not the record's")
	}
	if err := merkle.VerifyInclusion(p.Leaf, record.Seq, p.TreeSize, p.Inclusion, p.Root); err != nil {
		return record, damaged("ledger proof: " + err.Error())
	}
	if s := p.Segment; s != nil {
		if err := merkle.VerifyInclusion(p.Leaf, s.Ordinal, s.Entries, s.Inclusion, s.Root); err != nil {
			return record, &vfs.CorruptError{File: path.Base(s.ID), Reason: "segment proof: " + err.Error()}
		}
	}
	return record, nil
}

func appendProof(dst []byte, p *ledger.Proof, record *tlog.Record) []byte {
	dst = append(dst, '{')
	dst = appendBytesField(dst, "key", record.Key)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, record.Seq, 10)
	dst = append(dst, `,"verified":true,"record":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, p.Record)
	dst = append(dst, `","leaf_hash":`...)
	dst = appendHash(dst, p.Leaf)
	dst = append(dst, `,"value_sha256":`...)
	dst = appendHash(dst, record.ValueHash)
	dst = append(dst, `,"ledger":{"index":`...)
	dst = strconv.AppendUint(dst, record.Seq, 10)
	dst = append(dst, `,"tree_size":`...)
	dst = strconv.AppendUint(dst, p.TreeSize, 10)
	dst = append(dst, `,"root":`...)
	dst = appendHash(dst, p.Root)
	dst = append(dst, `,"proof":`...)
	dst = appendHashes(dst, p.Inclusion)
	dst = append(dst, `,"checkpoint":`...)
	dst = appendString(dst, p.Checkpoint)
	dst = append(dst, `},"segment":`...)
	if s := p.Segment; s == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, `{"id":`...)
		dst = appendString(dst, s.ID)
		dst = append(dst, `,"ordinal":`...)
		dst = strconv.AppendUint(dst, s.Ordinal, 10)
		dst = append(dst, `,"entries":`...)
		dst = strconv.AppendUint(dst, s.Entries, 10)
		dst = append(dst, `,"root":`...)
		dst = appendHash(dst, s.Root)
		dst = append(dst, `,"proof":`...)
		dst = appendHashes(dst, s.Inclusion)
		dst = append(dst, '}')
	}
	return append(dst, "}\n"...)
}

// consistencyProof answers /v1/proof/consistency. Without to, it is to the ledger's present size.
func (c *call) consistencyProof() error {
	q, err := parseQuery(c.rawQuery())
	if err != nil {
		return err
	}
	from, ok, err := q.number("from")
	if err != nil {
		return err
	}
	if !ok {
		return badRequest("from is the smaller ledger size")
	}
	to, ok, err := q.number("to")
	if err != nil {
		return err
	}
	if err := c.barrier(&q); err != nil {
		return err
	}
	size := c.api.backend.NextSeq()
	if !ok {
		to = size
	}
	if from > to || to > size {
		return badRequest("from is at most to, and to at most the ledger's size, which is " + strconv.FormatUint(size, 10))
	}
	fromRoot, toRoot, proof, err := c.api.backend.Consistency(from, to)
	if err != nil {
		return err
	}
	dst := append(c.out[:0], `{"from":`...)
	dst = strconv.AppendUint(dst, from, 10)
	dst = append(dst, `,"to":`...)
	dst = strconv.AppendUint(dst, to, 10)
	dst = append(dst, `,"from_root":`...)
	dst = appendHash(dst, fromRoot)
	dst = append(dst, `,"to_root":`...)
	dst = appendHash(dst, toRoot)
	dst = append(dst, `,"proof":`...)
	dst = appendHashes(dst, proof)
	c.out = append(dst, "}\n"...)
	c.sendJSON(http.StatusOK, c.out)
	return nil
}

// checkpoint answers /checkpoint, which is for signed checkpoints only.
func (c *call) checkpoint() error {
	return &problem{status: http.StatusNotFound, code: codeNoRoute, detail: "the ledger has no signed checkpoint yet"}
}
