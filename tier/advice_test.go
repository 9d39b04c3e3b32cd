package tier_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
)

func TestTrouble(t *testing.T) {
	of := func(err error) error {
		return fmt.Errorf("s3://b cannot be used: %w", &tier.Error{Op: "put", Key: "scratch/4711", Err: err})
	}
	for _, c := range []struct {
		err  error
		says string // of the advice; empty for none
	}{
		{of(fmt.Errorf("%w: HTTP status 404", tier.ErrNoBucket)), "tier.s3.bucket"},
		{of(tier.ErrRegion), "tier.s3.region"},
		{of(tier.ErrRefused), "credentials"},
		{of(tier.ErrNoStore), "tier.s3.endpoint"},
		{of(tier.ErrInvalid), "under tier"},
		{of(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "b.h"}}), "path_style"},
		{of(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}), "is the store up"},
		{of(context.DeadlineExceeded), "in time"},
		{of(errors.New("HTTP status 503")), ""},
		{errors.New("something else"), ""},
	} {
		advice, trouble := tier.Advice(c.err), tier.Trouble(c.err)
		if (advice == "") != (c.says == "") || !strings.Contains(advice, c.says) || advice != "" && !strings.HasPrefix(advice, "; ") {
			t.Errorf("%v: %q", c.err, advice)
		}
		if strings.Contains(trouble, "4711") || !strings.HasSuffix(trouble, advice) || len(trouble) <= len(advice) {
			t.Errorf("%v: %q", c.err, trouble)
		}
	}
	if tier.Advice(nil) != "" {
		t.Error("advice for nothing")
	}
}
