package cold

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profile begins a CPU profile of this phase, if that is wanted, and returns what ends it and writes down the allocations.
func (p plan) profile() (stop func() error, err error) {
	if p.Profiles == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(p.Profiles, 0o777); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(p.Profiles, p.Phase+".cpu"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		a, err := os.Create(filepath.Join(p.Profiles, p.Phase+".allocs"))
		if err != nil {
			return errors.Join(err, f.Close())
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(a, 0), a.Close(), f.Close())
	}, nil
}
