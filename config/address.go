package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

type addrValue struct{ p *string }

func (v addrValue) set(s string) bool {
	if !validAddr(s, true) {
		return false
	}
	*v.p = s
	return true
}
func (v addrValue) text() string { return *v.p }
func (v addrValue) want() string {
	return "host:port, with a port from 0 to 65535, such as 127.0.0.1:8001"
}
func (v addrValue) accepts(t any) bool { return isString(t) }

// validAddr says whether s is host:port. An address to listen on may lack the host and may have port 0; one to dial
// may not.
func validAddr(s string, listen bool) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " \t\r\n/\\@?#\x00") {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && (listen || (n > 0 && host != ""))
}

// advertiseValue is an address that others dial, or empty.
type advertiseValue struct{ p *string }

func (v advertiseValue) set(s string) bool {
	if s != "" && (!validAddr(s, false) || everyInterface(s)) {
		return false
	}
	*v.p = s
	return true
}
func (v advertiseValue) text() string { return *v.p }
func (v advertiseValue) want() string {
	return "host:port that can be reached from outside, such as 10.0.0.1:8001"
}
func (v advertiseValue) accepts(t any) bool { return isString(t) }

// everyInterface says whether addr is one to listen on only, such as 0.0.0.0:8001.
func everyInterface(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

// joinValue is the HTTP address of a member: host:port or a URL without path, query or user.
type joinValue struct{ p *string }

func (v joinValue) set(s string) bool {
	if s != "" && !validAddr(s, false) && !validURL(s) {
		return false
	}
	*v.p = s
	return true
}
func (v joinValue) text() string       { return *v.p }
func (v joinValue) want() string       { return "a member's HTTP address, such as 10.0.0.1:8001" }
func (v joinValue) accepts(t any) bool { return isString(t) }

// urlValue is an http or https URL, or empty.
type urlValue struct{ p *string }

func (v urlValue) set(s string) bool {
	if s != "" && !validURL(s) {
		return false
	}
	*v.p = s
	return true
}
func (v urlValue) text() string { return *v.p }
func (v urlValue) want() string {
	return "a URL such as https://s3.example.com, without user, path or query"
}
func (v urlValue) accepts(t any) bool { return isString(t) }

// validURL refuses users in URLs because URLs are logged.
func validURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == ""
}

// peersValue is the list of founding members: 1=host:port,2=host:port.
type peersValue struct{ p *[]Peer }

func (v peersValue) set(s string) bool {
	var peers []Peer
	seen := make(map[string]bool) // ids and addresses
	for item := range strings.SplitSeq(s, ",") {
		if s == "" {
			break
		}
		number, addr, _ := strings.Cut(strings.TrimSpace(item), "=")
		id, ok := parseID(number)
		if !ok || !validAddr(addr, false) || seen[addr] || seen[strconv.FormatUint(id, 10)] {
			return false
		}
		seen[addr], seen[strconv.FormatUint(id, 10)] = true, true
		peers = append(peers, Peer{ID: id, RaftAddr: addr})
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	*v.p = peers
	return true
}

func (v peersValue) text() string {
	items := make([]string, len(*v.p))
	for i, p := range *v.p {
		items[i] = strconv.FormatUint(p.ID, 10) + "=" + p.RaftAddr
	}
	return strings.Join(items, ",")
}
func (v peersValue) want() string {
	return "a list of raft addresses such as 1=10.0.0.1:9001,2=10.0.0.2:9001, each id and address once"
}
func (v peersValue) accepts(t any) bool { return isString(t) }
