package tier

import (
	"context"
	"errors"
	"net"
)

// Advice is what an operator can do about an error of a store, to stand behind its text: "; check the credentials".
// Empty when only time helps, or when nothing is known. Settings are named as the configuration names them.
func Advice(err error) string {
	var dial *net.OpError
	var name *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrNoBucket):
		return "; make the bucket or folder, or correct tier.s3.bucket or tier.dir"
	case errors.Is(err, ErrRegion):
		return "; correct tier.s3.region"
	case errors.Is(err, ErrRefused):
		return "; check the credentials, and that they may read, put, list and delete there"
	case errors.Is(err, ErrNoStore):
		return "; correct tier.s3.endpoint, or tier.s3.path_style"
	case errors.Is(err, ErrInvalid):
		return "; correct the settings under tier"
	case errors.As(err, &name):
		return "; correct tier.s3.endpoint, or set tier.s3.path_style if the bucket is no host name there"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "; is the store up, and tier.s3.endpoint right?"
	case errors.Is(err, context.DeadlineExceeded):
		return "; the store does not answer in time"
	}
	return ""
}

// Trouble is an error of a store in one line for an operator: the cause, the same at every try, and what to do about it.
func Trouble(err error) string {
	text := err.Error()
	var of *Error
	if errors.As(err, &of) {
		text = of.Err.Error() // without the key, which differs from try to try
	}
	return text + Advice(err)
}
