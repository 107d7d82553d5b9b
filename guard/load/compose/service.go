package compose

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/overlay"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// subject is what is known of a container.
func (c *container) subject(ctx context.Context, env guard.Env) *guard.Subject {
	s := &guard.Subject{
		Kind: guard.KindCompose, Name: c.name, Where: c.where, Image: c.spec.Image, ImageAt: c.place("image"),
		UserSlot: c.userSlot(), Grants: c.grants(), Ports: c.ports(), Variables: c.variables(),
	}
	if b := c.work.Build; b != nil {
		s.ImageAt = c.place("build")
		c.built(ctx, env, b, s)
	} else {
		c.ready(ctx, env, s)
	}
	c.settleUser(s)
	s.Command.Where = s.ImageAt
	for _, field := range []string{"command", "entrypoint"} {
		if n := c.find(field); n.Exists() {
			s.Command.Where = n.Value()
		}
	}
	if s.Drop != nil {
		s.Drop.Where = s.Command.Where
	}
	return s
}

// ready looks for the image of a service that is not built.
func (c *container) ready(ctx context.Context, env guard.Env, s *guard.Subject) {
	img := overlay.Image{Why: "the service names no image: it adds to one of another file"}
	if c.spec.Image != "" {
		img = overlay.Find(ctx, env, c.spec.Image)
	}
	c.start(ctx, img, s)
}

// start lays the service's user, entrypoint and command over an image.
func (c *container) start(ctx context.Context, img overlay.Image, s *guard.Subject) {
	if spec := c.spec.User; spec != "" {
		s.User = img.Replaced(ctx, spec)
	} else {
		s.User = img.Own(ctx)
	}
	s.Command, s.Drop = img.Start(ctx, s.User, c.spec.Entrypoint, c.spec.Command)
}

// settleUser says where the user is decided. A user that hangs on variables nobody sets is not known.
func (c *container) settleUser(s *guard.Subject) {
	at := c.find("user")
	s.User.Where = s.ImageAt
	if c.spec.User != "" {
		s.User.From, s.User.Inherited = "", false
		s.User.Where = c.place("user")
	}
	if raw := at.Text(); raw != c.spec.User {
		s.User.Raw = raw
	}
	if names := c.file.environment.open(at.Text()); len(names) > 0 {
		s.User.Where = at.Value()
		s.User.UID, s.User.GID, s.User.Missing, s.User.NoEntry, s.User.Name = guard.AnyID(), guard.AnyID(), "", false, ""
		s.User.From, s.User.Inherited = "", false
		s.User.Unknown = fmt.Sprintf("it hangs on %s, which no .env file beside it sets", strings.Join(names, " and "))
		s.Drop = nil
	}
}

// userSlot is where the service says, or would say, who it runs as.
func (c *container) userSlot() *guard.Slot {
	if !c.own {
		return nil
	}
	service := c.chain[0]
	if at := service.Get("user"); at.Kind() == yamltree.Scalar && !at.Apart() {
		return &guard.Slot{At: at.Value(), Before: `"`, After: `"`}
	}
	if service.Apart() || !service.Block() || service.Get("user").Exists() {
		return nil
	}
	at := service.Own()[0].KeyPlace()
	at.EndLine, at.EndColumn = at.Line, at.Column
	return &guard.Slot{At: at, Before: `user: "`, After: "\"\n" + strings.Repeat(" ", at.Column-1)}
}

// variables are those whose values stand in this file, and the build's arguments. What a variable of compose's own
// would bring is not in the file: only its default is.
func (c *container) variables() []guard.Variable {
	found := c.variablesOf(c.spec.Environment, false, "environment")
	if c.work.Build != nil {
		found = append(found, c.variablesOf(c.work.Build.Args, true, "build", "args")...)
	}
	return found
}

func (c *container) variablesOf(values types.MappingWithEquals, arg bool, path ...any) []guard.Variable {
	var found []guard.Variable
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at, ok := c.entry(name, path...)
		if values[name] == nil || !ok || at.Kind() != yamltree.Scalar {
			continue
		}
		value := literal(at.Text())
		if at.Key() != name {
			_, value, ok = strings.Cut(value, "=")
		}
		if ok {
			found = append(found, guard.Variable{Name: name, Value: value, Arg: arg, Where: at.Value()})
		}
	}
	return found
}

// port is a port without its place.
type port struct {
	number   int
	protocol string
}

// ports are those that the service says its containers listen on.
func (c *container) ports() []guard.Port {
	var found []guard.Port
	seen := map[port]bool{}
	add := func(p port, at guard.Location) {
		if !seen[p] {
			seen[p] = true
			found = append(found, guard.Port{Number: p.number, Protocol: p.protocol, Where: at})
		}
	}
	places := c.portPlaces()
	for _, published := range c.work.Ports {
		p, at := port{int(published.Target), published.Protocol}, c.standIn()
		if n := places[p]; n.Exists() {
			at = n.Value()
		}
		add(p, at)
	}
	for _, text := range c.work.Expose {
		at := c.item("expose", c.text(text))
		numbers, protocol, _ := strings.Cut(text, "/")
		first, last, ok := portRange(numbers)
		for n := first; ok && n <= last; n++ {
			add(port{n, cmp.Or(protocol, "tcp")}, at)
		}
	}
	return found
}

// portPlaces are the items of ports that the ports come from.
func (c *container) portPlaces() map[port]yamltree.Node {
	places := map[port]yamltree.Node{}
	for _, item := range c.list("ports") {
		for _, p := range c.portsOf(item) {
			if key := (port{int(p.Target), p.Protocol}); !places[key].Exists() {
				places[key] = item
			}
		}
	}
	return places
}

// list are the items of a list, of the service and of what it extends.
func (c *container) list(name string) []yamltree.Node {
	var items []yamltree.Node
	for _, n := range c.chain {
		items = append(items, n.Get(name).Items()...)
	}
	return items
}

// portsOf are the ports that an item means.
func (c *container) portsOf(item yamltree.Node) []types.ServicePortConfig {
	if item.Kind() != yamltree.Mapping {
		ports, err := types.ParsePortConfig(c.file.environment.expand(item.Text()))
		if err != nil {
			return nil
		}
		return ports
	}
	target, err := strconv.ParseUint(c.file.environment.expand(item.Get("target").Text()), 10, 16)
	if err != nil {
		return nil
	}
	protocol := cmp.Or(c.file.environment.expand(item.Get("protocol").Text()), "tcp")
	return []types.ServicePortConfig{{Target: uint32(target), Protocol: protocol}}
}

// portRange reads "80" or "80-90".
func portRange(text string) (first, last int, ok bool) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	a, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return 0, 0, false
	}
	b, err := strconv.ParseUint(to, 10, 16)
	return int(a), int(b), err == nil && a <= b
}
