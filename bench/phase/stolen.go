package phase

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Stolen is how long other machines on the host have had this one's processors, all taken together, since it started.
// It is 0 where the system does not tell. It goes by steps of 10 ms.
func Stolen() time.Duration {
	data, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(data), "\n")
	if words := strings.Fields(line); len(words) > 8 && words[0] == "cpu" {
		ticks, _ := strconv.ParseInt(words[8], 10, 64)
		return time.Duration(ticks) * (time.Second / 100) // USER_HZ
	}
	return 0
}

// Calm says whether other machines, which took that much of the processors in a window of time, left 99 % of them. Less
// than a second is too short to tell, by the steps of Stolen, and passes for calm.
func Calm(stolen, window time.Duration) bool {
	return window < time.Second || stolen <= window*time.Duration(runtime.NumCPU())/100
}
