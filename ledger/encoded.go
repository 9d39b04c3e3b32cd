package ledger

import "fmt"

// IsWrite says whether an encoded command appends what clients sent, and so takes space that seals and records give back.
func IsWrite(data []byte) bool { return len(data) > 0 && commandKind(data[0]) == kindWrite }

// CheckEncoded says why a command that another node encoded must not be proposed: it would not decode when it is applied,
// or it is none that clients cause. Its error wraps nothing that a caller could act upon.
func CheckEncoded(data []byte) error {
	c, err := decodeCommand(data)
	if err != nil {
		return err
	}
	if c.kind != kindWrite && c.kind != kindSeal && c.kind != kindMerge {
		return fmt.Errorf("%w: kind %d is not a client's", errCommand, c.kind)
	}
	return nil
}
