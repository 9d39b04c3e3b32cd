package cold

import (
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profile begins a CPU profile of this phase, if that is wanted, and returns what ends it.
func (p plan) profile() (stop func() error, err error) {
	if p.Profiles == "" {
		return func() error { return nil }, nil
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
		return f.Close()
	}, nil
}
