package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkPeers measures one round of 5 s a run for each iteration: go test -bench . -benchtime 5x
func BenchmarkPeers(b *testing.B) {
	samples, err := Run(b.Context(), Options{Rounds: b.N, Measured: 5 * time.Second, Log: os.Stderr})
	if err != nil {
		b.Fatal(err)
	}
	for _, k := range []kind{put, get} {
		sums := summarize(samples, k)
		etcd, _ := fastest(sums, "etcd")
		scribe, _ := fastest(sums, "scribe")
		b.ReportMetric(etcd.rate, "etcd-"+k.String()+"/s")
		b.ReportMetric(scribe.rate, "scribe-"+k.String()+"/s")
		b.ReportMetric(scribe.rate/etcd.rate, k.String()+"-ratio")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

func TestKeysDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for i := range 100_000 {
		key := string(appendKey(nil, i))
		if len(key) != keyBytes || seen[key] {
			t.Fatalf("key %d is %q", i, key)
		}
		seen[key] = true
	}
}

// TestWrkRequests: wrk is given requests by cutting a file, so all must be of one length.
func TestWrkRequests(t *testing.T) {
	for _, k := range []kind{put, get} {
		for _, gateway := range []bool{false, true} {
			l := load{kind: k, keys: 100_000}
			d := wrk{gateway: gateway, dir: t.TempDir()}
			size, err := d.writeRequests(d.dir+"/requests", l)
			if err != nil || size < keyBytes {
				t.Fatalf("%v gateway=%v: %d, %v", k, gateway, size, err)
			}
		}
	}
	got, err := parseWrk("Running\nRESULT 2000000 1000 4 1500 9000\n")
	if err != nil || got.ops != 996 || got.errors != 4 || got.elapsed != 2*time.Second || got.p99 != 9*time.Millisecond {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := parseWrk("unable to connect"); err == nil {
		t.Fatal("no error for wrk's failure")
	}
}

func TestProcessTimes(t *testing.T) {
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
	}
	own, err := processTime(os.Getpid())
	if err != nil || own <= 0 || ownTime() <= 0 {
		t.Fatalf("own time %v and %v, %v", own, ownTime(), err)
	}
	if machine, err := machineTime(); err != nil || machine < own {
		t.Fatalf("the machine's time %v is below our own %v, %v", machine, own, err)
	}
}

func TestReportComparesMedians(t *testing.T) {
	run := func(k kind, driver string, ops int) sample {
		return sample{outcome: outcome{ops: ops, elapsed: time.Second}, kind: k, driver: driver,
			serverCPU: time.Duration(ops) * 10 * time.Microsecond}
	}
	var samples []sample
	for _, ops := range []int{100, 900, 200} {
		samples = append(samples, run(put, "etcd", ops), run(put, "etcd-clientv3:12", ops/2), run(put, "scribe", 2*ops))
	}
	var out bytes.Buffer
	report(&out, samples)
	for _, want := range []string{"PUT: scribe has 2.00 times the rate of etcd (", "PUT: scribe has 4.00 times the rate of etcd-clientv3:12 (",
		"PUT ratio: 2.00\n"} {
		if !strings.Contains(out.String(), want) {
			t.Fatalf("no %q in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "GET ratio") {
		t.Fatalf("a ratio of nothing:\n%s", out.String())
	}
}
