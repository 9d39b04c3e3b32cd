package e2e

import "os"

// fileSize is the size of a file, 0 when there is none.
func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}
