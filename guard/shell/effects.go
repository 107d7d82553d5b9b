package shell

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// effects collects what a step does.
type effects struct {
	out      Effects
	virtuals map[string][]string // apk's virtual packages
	machine  *machine
}

var _ listener = (*effects)(nil)

// maxEffects bounds what one line may tell of a kind.
const maxEffects = 1000

// drops: what is run as another user can change none of what is looked for here.
func (e *effects) drops(*machine, guard.Drop, call) {}

func (e *effects) exits(*machine, bool) {}

func (e *effects) runs(m *machine, c call) verdict {
	name := c.argv[0]
	if !known(name) {
		e.stranger(shown(name))
		return yes
	}
	base := path.Base(name)
	switch classOf(base) {
	case account:
		e.account(base, c)
	case manager:
		e.manager(base, c)
	case mode:
		e.file(m, base, c)
	case starts:
		e.starts(base, c)
	case stranger:
		e.stranger(name)
	case tool, query, builder:
		if strings.HasPrefix(name, "./") && base != "configure" {
			e.stranger(name)
		}
	}
	e.touches(m, base, c)
	e.inline(base, c.argv[1:])
	return succeeds(c.argv)
}

// starts: a shell whose line is not known, or that runs a script.
func (e *effects) starts(base string, c call) {
	switch {
	case isShell(base):
		if script, ok := shellScript(c.argv); ok {
			e.stranger(shown(script[0]))
		} else {
			e.stranger(base)
		}
	case base == "source" || base == ".":
		if len(c.argv) > 1 {
			e.stranger(shown(c.argv[1]))
		}
	}
}

// stranger is a program of which nobody knows what users it adds.
func (e *effects) stranger(name string) {
	if len(e.out.Users) > 0 {
		if last := e.out.Users[len(e.out.Users)-1]; last.Kind == users.AddUser && last.Name == "" && !last.HasUID {
			return // one says it all
		}
	}
	e.change(users.Change{Kind: users.AddUser, Why: name + " is run, which may add the user"})
}

func (e *effects) change(c users.Change) {
	c.Elevated = e.machine.elevated > 0
	c.Maybe = e.machine.maybe > 0 && c.Kind != users.AddMember && (c.Kind != users.AddUser || c.Name != "")
	if len(e.out.Users) < maxEffects {
		e.out.Users = append(e.out.Users, c)
	}
}

// add puts what is not there yet into a list.
func add(list *[]string, words ...string) {
	for _, w := range words {
		if w = shown(w); w != "" && len(*list) < maxEffects && !slices.Contains(*list, w) {
			*list = append(*list, w)
		}
	}
}
