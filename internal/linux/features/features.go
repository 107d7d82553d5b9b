// Package features finds out what this kernel and machine allow, by trying it.
//
// Everything tried is gone when Probe returns: namespaces, mounts and filters live in threads and
// processes that end with it, files in a directory that is removed.
package features

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
)

// Feature is one line of `deckhand info`.
type Feature struct {
	Name   string // "idmapped mounts"
	OK     bool
	Detail string // what was found
	Fix    string // what to type or change where !OK; "" if nothing helps
}

// prober is the state of one Probe.
type prober struct {
	root   bool      // real root: containers by id ranges, bridge network
	inside bool      // root of a user namespace
	dir    string    // a temporary directory on the data root's filesystem
	dirErr error     // why there is none
	fsName string    // the filesystem
	in     *findings // what a process of an ordinary user finds inside a user namespace
}

// probe tries one thing.
type probe struct {
	name string
	try  func(*prober) Feature
}

// forEverybody, forRoot and forUsers are what is tried, in the order of `deckhand info`.
var (
	forEverybody = [...]probe{
		{"kernel", (*prober).kernel},
		{"user namespaces", (*prober).userNamespaces},
		{"subordinate ids", (*prober).subordinateIDs},
		{"cgroups", (*prober).cgroups},
		{"new mount API", (*prober).mountAPI},
		{"overlay", (*prober).overlay},
		{"seccomp filter", (*prober).seccompFilter},
		{"pidfd", (*prober).pidfd},
		{"security modules", (*prober).securityModules},
	}
	forRoot = [...]probe{
		{"user namespaces for ordinary users", (*prober).unprivilegedNamespaces},
		{"idmapped mounts", (*prober).idmappedMounts},
		{"idmapped overlay layers", (*prober).idmappedOverlay},
		{"bridge and veth", (*prober).bridge},
		{"nftables", (*prober).nftables},
		{"IP forwarding", (*prober).forwarding},
		{"raising limits", (*prober).resourceCapability},
	}
	forUsers = [...]probe{
		{"pasta network", (*prober).pasta},
		{"ports below 1024", (*prober).lowPorts},
	}
)

// Probe looks at the machine on behalf of the calling user, for a store below dataRoot (which need
// not exist yet). What does not concern him (idmapped mounts without root, pasta for root) is left out.
func Probe(dataRoot string) []Feature {
	p := &prober{inside: rootless.Inside()}
	p.root = os.Geteuid() == 0 && !p.inside
	defer keepDumpable()()
	remove := p.makeDir(dataRoot)
	defer remove()
	if !p.root && !p.inside {
		p.in = lookInside(p.dir)
	}
	all := forEverybody[:len(forEverybody):len(forEverybody)]
	if p.root {
		all = append(all, forRoot[:]...)
	} else {
		all = append(all, forUsers[:]...)
	}
	out := make([]Feature, len(all))
	for i, try := range all {
		out[i] = try.try(p)
		out[i].Name = try.name
	}
	return out
}

// keepDumpable returns a function that restores the process's dumpable attribute: it is lost by a
// thread that changes its ids, for the whole process.
func keepDumpable() (restore func()) {
	was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return func() {
		if err == nil && was == 1 {
			_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) // takes no privilege
		}
	}
}

// yes and no are the two results.
func yes(detail string) Feature { return Feature{OK: true, Detail: detail} }

func no(detail, fix string) Feature { return Feature{Detail: detail, Fix: fix} }

// outcome is yes(detail), or no with the error.
func outcome(err error, detail, fix string) Feature {
	if err != nil {
		return no(err.Error(), fix)
	}
	return yes(detail)
}
