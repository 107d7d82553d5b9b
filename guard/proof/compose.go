package proof

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// compose is compose.yaml.
func (p *Proof) compose() ([]byte, error) {
	volumes := p.volumes()
	named := make([]field, len(volumes))
	for i, v := range volumes {
		named[i] = field{key: v.name, value: inline(&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})}
	}
	head := slices.Concat([]string{
		p.name() + " with what was proven, as " + PageName + " says. Written by `deckhand harden`.",
		"If the image is not there yet (DIR is this directory):", "  " + p.build(),
	}, p.dockerLacks(), p.unsaid())
	return documents(head, object(
		field{key: "services", value: object(field{key: p.name(), value: p.composeService()})},
		field{key: "volumes", value: object(named...)},
	))
}

// composeService is the service.
func (p *Proof) composeService() *yaml.Node {
	f := &p.Profile
	sysctls := p.sysctls()
	var kernel []field
	for _, name := range slices.Sorted(maps.Keys(sysctls)) {
		kernel = append(kernel, field{key: name, value: quoted(dollars(sysctls[name]))})
	}
	return object(
		field{key: "image", value: text(dollars(p.image()))},
		field{key: "user", value: quoted(f.User)},
		field{key: "read_only", value: boolean(!f.ReadWrite)},
		field{key: "cap_drop", value: inline(list(text("ALL")))},
		field{key: "cap_add", value: inline(list(mapped(f.Capabilities, func(c string) *yaml.Node { return text(dockerCapability(c)) })...))},
		field{key: "security_opt", value: list(mapped(p.securityOptions(), text)...)},
		field{key: "tmpfs", value: list(mapped(p.composeTmpfs(), text)...)},
		field{key: "volumes", value: list(mapped(p.volumes(), func(v volume) *yaml.Node {
			return object(
				field{key: "type", value: text("volume")},
				field{key: "source", value: text(v.name)},
				field{key: "target", value: text(dollars(v.Path))},
			)
		})...)},
		field{key: "sysctls", value: object(kernel...)},
		field{
			key: "ports", comment: "# on this machine only; take the address away to publish to others",
			value: list(mapped(p.ports(), func(t port) *yaml.Node { return quoted(t.published()) })...),
		},
	)
}

func (p *Proof) securityOptions() []string {
	options := []string{"no-new-privileges:true"}
	if p.Profile.Escalates {
		options[0] = "no-new-privileges:false"
	}
	if len(p.Syscalls) > 0 {
		options = append(options, "seccomp:./"+RuncName)
	}
	return options
}

// composeTmpfs are the directories in memory that compose can name.
func (p *Proof) composeTmpfs() []string {
	var all []string
	for _, t := range p.Profile.Tmpfs {
		if sayable(t.Path) {
			all = append(all, dollars(p.tmpfs(t.Path, t.Mode)))
		}
	}
	return all
}

// unsaid says which directories in memory cannot be named.
func (p *Proof) unsaid() []string {
	var lines []string
	for _, t := range p.Profile.Tmpfs {
		if !sayable(t.Path) {
			lines = append(lines, "Left out, since a path with a colon cannot be named here: "+t.Path)
		}
	}
	return lines
}

// dollars keeps compose from putting variables into a text.
func dollars(s string) string { return strings.ReplaceAll(s, "$", "$$") }
