package bundle

import (
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/oci"
)

// setHome gives a process that has no HOME its user's, as runc does: callers rely on it, though the
// specification says nothing of it.
func setHome(root *os.File, p *specs.Process) {
	if slices.ContainsFunc(p.Env, func(e string) bool { return strings.HasPrefix(e, "HOME=") }) {
		return
	}
	home := "/"
	u, err := oci.ResolveUser(root, strconv.FormatUint(uint64(p.User.UID), 10), nil)
	if err == nil { // what cannot be read says nothing
		home = u.Home
	}
	p.Env = append(slices.Clip(p.Env), "HOME="+home)
}
