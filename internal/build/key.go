package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/moby/buildkit/solver/pb"
)

// keyVersion is part of every key: raise it when the same operation begins to give another result.
const keyVersion = "1"

// selector says which part of an input an operation reads.
type selector struct {
	path              string
	wildcard, follow  bool
	includes, exclude []string
	required          []string
}

// String is the form that goes into keys.
func (s selector) String() string {
	return fmt.Sprintf("%q %t %t %q %q %q", s.path, s.wildcard, s.follow, s.includes, s.exclude, s.required)
}

// opKey is the key of an operation whose inputs are identified by in. What must not influence the result is
// taken out first: proxies and the addresses of extra hosts, the ids of cache mounts, where it runs.
func opKey(op *pb.Op, in []string) (string, error) {
	o := op.CloneVT()
	o.Inputs, o.Constraints = nil, nil
	if e, ok := o.Op.(*pb.Op_Exec); ok {
		e.Exec.Meta.ProxyEnv = nil
		for _, h := range e.Exec.Meta.ExtraHosts {
			h.IP = ""
		}
		for _, m := range e.Exec.Mounts {
			if m.CacheOpt != nil {
				m.CacheOpt.ID, m.CacheOpt.Sharing = "", 0
			}
		}
	}
	dt, err := o.MarshalVT()
	if err != nil {
		return "", fmt.Errorf("encode operation: %w", err)
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s %d\x00", keyVersion, len(dt)) // a hash never fails
	h.Write(dt)
	for _, k := range in {
		_, _ = fmt.Fprintf(h, "\x00%s", k)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// layersKey identifies a snapshot by its layers. Layers never change, so this is as good as its content, and
// a step that ran again (--no-cache) makes every step above it run again.
func layersKey(layers []string) string { return "layers:" + strings.Join(layers, ",") }

// selectors are the inputs that are only read, and of which the content of some paths is all that matters.
// Every other input is identified by its layers.
func selectors(op *pb.Op) map[int][]selector {
	switch o := op.Op.(type) {
	case *pb.Op_File:
		return fileSelectors(o.File, len(op.Inputs))
	case *pb.Op_Exec:
		return execSelectors(o.Exec)
	}
	return nil
}

func fileSelectors(f *pb.FileOp, inputs int) map[int][]selector {
	r := map[int][]selector{}
	written := map[int]bool{}
	for _, a := range f.Actions {
		if a.Input >= 0 && int(a.Input) < inputs {
			written[int(a.Input)] = true
		}
		var owner *pb.ChownOpt
		switch x := a.Action.(type) {
		case *pb.FileAction_Copy:
			owner = x.Copy.Owner
			if i := int(a.SecondaryInput); i >= 0 && i < inputs {
				r[i] = append(r[i], copySelector(x.Copy))
			}
		case *pb.FileAction_Mkdir:
			owner = x.Mkdir.Owner
		case *pb.FileAction_Mkfile:
			owner = x.Mkfile.Owner
		}
		addOwner(r, owner.GetUser(), inputs)
		addOwner(r, owner.GetGroup(), inputs)
	}
	for i := range written {
		delete(r, i)
	}
	return r
}

func copySelector(c *pb.FileActionCopy) selector {
	return selector{
		path: c.Src, wildcard: c.AllowWildcard, follow: c.FollowSymlink,
		includes: c.IncludePatterns, exclude: c.ExcludePatterns, required: c.RequiredPaths,
	}
}

// addOwner selects the files in which an owner's name is looked up; they may be missing.
func addOwner(r map[int][]selector, u *pb.UserOpt, inputs int) {
	n := u.GetByName()
	if n == nil || n.Input < 0 || int(n.Input) >= inputs {
		return
	}
	r[int(n.Input)] = append(r[int(n.Input)],
		selector{path: "/", follow: true, includes: []string{"etc/passwd", "etc/group"}})
}

// execSelectors: a mount whose changes are thrown away, or that allows none, is keyed by what is mounted. One
// that is written through a selector is not: the result holds files the selector does not see.
func execSelectors(e *pb.ExecOp) map[int][]selector {
	r := map[int][]selector{}
	byLayers := map[int]bool{}
	for _, m := range e.Mounts {
		if m.Input < 0 {
			continue
		}
		if m.MountType != pb.MountType_BIND && m.MountType != pb.MountType_CACHE {
			continue
		}
		if m.Dest == pb.RootMount || m.Output != int64(pb.SkipOutput) && !m.Readonly && path.Join("/", m.Selector) != "/" {
			byLayers[int(m.Input)] = true
			continue
		}
		r[int(m.Input)] = append(r[int(m.Input)], selector{path: path.Join("/", m.Selector), follow: true})
	}
	for i := range byLayers {
		delete(r, i)
	}
	return r
}
