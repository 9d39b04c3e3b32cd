package transport

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed says that the transport was closed.
	ErrClosed = errors.New("transport: closed")
	// errReplaced ends a connection whose sender has opened a newer one.
	errReplaced = errors.New("replaced by a newer connection")
)

// badReason is why a frame was bad, as the metric names it.
type badReason string

const (
	badHeader  badReason = "header"  // its header's checksum does not hold
	badPayload badReason = "payload" // its payload's checksum does not hold
	badNumber  badReason = "number"  // replayed or skipped
	badKind    badReason = "kind"    // unknown, or of another class
	badLength  badReason = "length"  // over the limit of its kind
	badHalf    badReason = "half"    // the connection ended within it
	badMessage badReason = "message" // not a raft message
	badSender  badReason = "sender"  // a raft message of another node or cluster, or for another node
)

var badReasons = [...]badReason{
	badHeader, badPayload, badNumber, badKind, badLength, badHalf, badMessage, badSender,
}

// frameError is a frame that ends its connection.
type frameError struct {
	reason badReason
	text   string
	cause  error
}

func (e *frameError) Error() string {
	if e.cause != nil {
		return "bad frame: " + e.text + ": " + e.cause.Error()
	}
	return "bad frame: " + e.text
}

func (e *frameError) Unwrap() error { return e.cause }

func badFrame(reason badReason, format string, args ...any) *frameError {
	return &frameError{reason: reason, text: fmt.Sprintf(format, args...)}
}

// refusal is the verdict of a node on a hello.
type refusal uint8

const (
	accepted       refusal = 0
	refusedMagic   refusal = 1 // not our protocol, or not readable; the only one that is not answered
	refusedVers    refusal = 2
	refusedCluster refusal = 3
	refusedTo      refusal = 4
	refusedOwnID   refusal = 5
	refusedAdmit   refusal = 6
	refusedCert    refusal = 7
	refusedFull    refusal = 8
	refusedTLS     refusal = 9 // no TLS handshake; there is nobody to answer
	refusedSlow    refusal = 10

	lastRefusal = refusedSlow
)

// String names the refusal as the metric does.
func (r refusal) String() string {
	switch r {
	case accepted:
		return "accepted"
	case refusedMagic:
		return "hello"
	case refusedVers:
		return "version"
	case refusedCluster:
		return "cluster"
	case refusedTo:
		return "to"
	case refusedOwnID:
		return "own_id"
	case refusedAdmit:
		return "not_admitted"
	case refusedCert:
		return "certificate"
	case refusedFull:
		return "connections"
	case refusedTLS:
		return "tls"
	case refusedSlow:
		return "slow"
	}
	return fmt.Sprintf("refusal(%d)", uint8(r))
}

// refusedError is a handshake that was refused: by the peer, when byPeer, else by us.
type refusedError struct {
	reason refusal
	text   string
	byPeer bool
}

func (e *refusedError) Error() string {
	if e.byPeer {
		return "refused us: " + e.text
	}
	return e.text
}

func refuse(reason refusal, format string, args ...any) *refusedError {
	return &refusedError{reason: reason, text: fmt.Sprintf(format, args...)}
}
