package main

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHead = 9
	// recvWindow is what the server may send on a connection before it must be told to go on; streams have as much.
	recvWindow = 1 << 30
	// initialWindow is what either side of HTTP/2 may send before it hears otherwise (RFC 9113 §6.9.2).
	initialWindow = 65_535
	// requestRoom is more than the DATA of any request here takes.
	requestRoom = 512
)

// grpc is one HTTP/2 connection to an etcd member that calls Put or Range, depth calls at a time.
type grpc struct {
	kind        kind
	encoder     *hpack.Encoder
	encoded     bytes.Buffer
	header      []byte // the header block once all its fields are in the server's dynamic table
	decoder     *hpack.Decoder
	status      string // grpc-status and grpc-message of the block being decoded
	message     string
	window      int // bytes of DATA that the server still takes
	unacked     int // bytes of DATA received since the server's window was last widened
	nextID      uint32
	streams     map[uint32]stream
	firstHeader []byte // the block of the first call, which fills that table
}

// stream is a call in flight.
type stream struct {
	slot     int
	received int
}

func dialGRPC(k kind, addr string, depth int) protocol {
	g := &grpc{kind: k, window: initialWindow, nextID: 1, streams: make(map[uint32]stream, depth)}
	g.encoder = hpack.NewEncoder(&g.encoded)
	g.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		switch f.Name {
		case "grpc-status":
			g.status = f.Value
		case "grpc-message":
			g.message = f.Value
		}
	})
	path := "/etcdserverpb.KV/Put"
	if k == get {
		path = "/etcdserverpb.KV/Range"
	}
	fields := []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path},
		{Name: ":authority", Value: addr}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"}}
	// The first block puts the fields into the dynamic table; from the second on it is a few index bytes, always the same.
	for range 2 {
		g.encoded.Reset()
		for _, f := range fields {
			g.encoder.WriteField(f)
		}
		if g.firstHeader == nil {
			g.firstHeader = bytes.Clone(g.encoded.Bytes())
		}
	}
	g.header = bytes.Clone(g.encoded.Bytes())
	return g
}

func (g *grpc) open(out []byte) []byte {
	out = append(out, http2.ClientPreface...)
	out = appendFrame(out, http2.FrameSettings, 0, 0, 12)
	out = binary.BigEndian.AppendUint16(out, uint16(http2.SettingEnablePush))
	out = binary.BigEndian.AppendUint32(out, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(http2.SettingInitialWindowSize))
	out = binary.BigEndian.AppendUint32(out, recvWindow)
	return appendWindow(out, recvWindow-initialWindow)
}

func (g *grpc) ready() bool { return g.window >= requestRoom }

func (g *grpc) request(out []byte, slot, key int, w *work) []byte {
	block := g.header
	if g.nextID == 1 {
		block = g.firstHeader
	}
	out = appendFrame(out, http2.FrameHeaders, http2.FlagHeadersEndHeaders, g.nextID, len(block))
	out = append(out, block...)
	message := 2 + keyBytes
	if g.kind == put {
		message += 3 + valueBytes
	}
	out = appendFrame(out, http2.FrameData, http2.FlagDataEndStream, g.nextID, 5+message)
	out = append(out, 0) // not compressed
	out = binary.BigEndian.AppendUint32(out, uint32(message))
	out = append(out, 1<<3|2, keyBytes) // field 1 of PutRequest and of RangeRequest: the key
	out = appendKey(out, key)
	if g.kind == put {
		out = append(out, 2<<3|2) // field 2: the value
		out = binary.AppendUvarint(out, valueBytes)
		out = append(out, w.value()...)
	}
	g.window -= 5 + message
	g.streams[g.nextID] = stream{slot: slot}
	g.nextID += 2
	return out
}

func (g *grpc) consume(in, out []byte, done func(int, string)) (int, []byte, error) {
	took := 0
	for len(in)-took >= frameHead {
		head := in[took : took+frameHead]
		length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		if len(in)-took < frameHead+length {
			break
		}
		payload := in[took+frameHead : took+frameHead+length]
		id := binary.BigEndian.Uint32(head[5:]) &^ (1 << 31)
		var err error
		if out, err = g.frame(http2.FrameType(head[3]), http2.Flags(head[4]), id, payload, out, done); err != nil {
			return took, out, err
		}
		took += frameHead + length
	}
	if g.unacked > recvWindow/2 {
		out = appendWindow(out, g.unacked)
		g.unacked = 0
	}
	return took, out, nil
}

func (g *grpc) frame(kind http2.FrameType, flags http2.Flags, id uint32, payload, out []byte,
	done func(int, string)) ([]byte, error) {
	switch kind {
	case http2.FrameData:
		s, ok := g.streams[id]
		if !ok {
			return out, fmt.Errorf("DATA for stream %d, which is not open", id)
		}
		s.received += len(payload)
		g.streams[id] = s
		g.unacked += len(payload)
	case http2.FrameHeaders:
		if !flags.Has(http2.FlagHeadersEndHeaders) || flags.Has(http2.FlagHeadersPadded|http2.FlagHeadersPriority) {
			return out, fmt.Errorf("a HEADERS frame with flags %#x", flags)
		}
		g.status, g.message = "", ""
		if _, err := g.decoder.Write(payload); err != nil {
			return out, err
		}
		if err := g.decoder.Close(); err != nil {
			return out, err
		}
		if flags.Has(http2.FlagHeadersEndStream) {
			s, ok := g.streams[id]
			if !ok {
				return out, fmt.Errorf("an answer for stream %d, which is not open", id)
			}
			delete(g.streams, id)
			done(s.slot, g.judge(s))
		}
	case http2.FrameSettings:
		if !flags.Has(http2.FlagSettingsAck) {
			out = appendFrame(out, http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
		}
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			out = append(appendFrame(out, http2.FramePing, http2.FlagPingAck, 0, len(payload)), payload...)
		}
	case http2.FrameWindowUpdate:
		if id == 0 && len(payload) == 4 {
			g.window += int(binary.BigEndian.Uint32(payload))
		}
	case http2.FrameRSTStream:
		// After its answer a server may reset a stream whose end it had not yet noticed (RFC 9113 §8.1).
		if s, ok := g.streams[id]; ok {
			delete(g.streams, id)
			done(s.slot, fmt.Sprintf("the stream was reset: %x", payload))
		}
	case http2.FrameGoAway, http2.FrameContinuation, http2.FramePushPromise:
		return out, fmt.Errorf("%v: %.200q", kind, payload)
	}
	return out, nil
}

// judge gives the reason why a call is not the wanted one. A RangeResponse that holds the value is longer than it.
func (g *grpc) judge(s stream) string {
	if g.status == "0" && (g.kind == put && s.received > 0 || s.received > valueBytes) {
		return ""
	}
	return fmt.Sprintf("grpc-status %q, %d bytes: %s", g.status, s.received, g.message)
}

func appendFrame(out []byte, kind http2.FrameType, flags http2.Flags, id uint32, length int) []byte {
	out = append(out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	return binary.BigEndian.AppendUint32(out, id)
}

// appendWindow lets the server send more on the connection.
func appendWindow(out []byte, more int) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(out, http2.FrameWindowUpdate, 0, 0, 4), uint32(more))
}
