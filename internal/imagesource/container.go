package imagesource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// containerOptions is what is needed of the engine's part of a container's record.
type containerOptions struct {
	User    string          `json:"user"`
	Spec    oci.SpecOptions `json:"spec"`
	Network network.Mode    `json:"network"`
	Ports   []network.Port  `json:"ports"`
}

// Container describes a container of the store, running or not, by name, id or the beginning of it: whom it runs
// as, what it may do, what it has of the host. It is nil where there is none of that name. What the container's
// image holds is not looked at.
func (s *Source) Container(ctx context.Context, name string) (*guard.Subject, error) {
	if s.Store == nil {
		return nil, nil //nolint:nilnil // no store, no container
	}
	c, err := s.Store.Container(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // as documented
	}
	if err != nil {
		return nil, err
	}
	var o containerOptions
	if err := json.Unmarshal(c.Options, &o); err != nil && len(c.Options) > 0 {
		return nil, fmt.Errorf("read options of container %s: %w", c.Name, err)
	}
	state, err := s.Store.State(c.ID)
	if err != nil {
		return nil, err
	}
	at := guard.Location{Path: name}
	subject := &guard.Subject{
		Kind: guard.KindContainer, Name: "container " + c.Name, Where: at, Image: c.Image, ImageAt: at,
		Command: guard.Command{Args: c.Command, Where: at}, Grants: containerGrants(o, at),
		Variables: containerVariables(o, at), Ports: containerPorts(o, at),
	}
	img := s.imageOfContainer(ctx, c)
	subject.User = containerUser(ctx, img, o, state)
	subject.User.Where = at
	if subject.Drop = images.Drop(ctx, img, c.Command); subject.Drop != nil {
		subject.Drop.Where = at
	}
	return subject, nil
}

// imageOfContainer is nil where the image is gone.
func (s *Source) imageOfContainer(ctx context.Context, c *store.Container) *guard.Image {
	img, err := s.Store.Image(ctx, c.ImageID)
	if err != nil {
		return nil
	}
	return &guard.Image{
		Name: c.Image, From: "the store", Manifest: img.Target.Digest, Config: img.Config,
		Files: storedFiles(ctx, s.Store, img), Local: true,
	}
}

// containerUser is the user in force; of a container that never ran, the one that would be.
func containerUser(ctx context.Context, img *guard.Image, o containerOptions, state store.State) guard.User {
	u := images.Users(ctx, img).Resolve(o.User)
	uid, gid, ok := strings.Cut(state.User, ":")
	if !ok {
		return u
	}
	uidNumber, uidErr := strconv.ParseUint(uid, 10, 32)
	gidNumber, gidErr := strconv.ParseUint(gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		return u
	}
	if known := guard.Exactly(uint32(uidNumber)); u.UID != known {
		u.Name = ""
		u.UID = known
	}
	u.GID = guard.Exactly(uint32(gidNumber))
	u.Unknown, u.Missing = "", ""
	return u
}

func containerGrants(o containerOptions, at guard.Location) []guard.Grant {
	var grants []guard.Grant
	add := func(kind guard.GrantKind, value string, given bool) {
		if given {
			grants = append(grants, guard.Grant{Kind: kind, Value: value, Where: at})
		}
	}
	add(guard.GrantPrivileged, "true", o.Spec.Privileged)
	for _, c := range o.Spec.CapAdd {
		add(guard.GrantCapability, capabilityName(c), true)
	}
	for _, c := range o.Spec.CapDrop {
		add(guard.GrantDropped, capabilityName(c), true)
	}
	add(guard.GrantNamespace, "network", o.Network == network.Host)
	add(guard.GrantEscalation, "true", o.Spec.NewPrivileges)
	add(guard.GrantNoEscalation, "true", !o.Spec.NewPrivileges)
	add(guard.GrantUnconfined, "seccomp", o.Spec.SeccompUnconfined)
	add(guard.GrantUnconfined, "systempaths", o.Spec.UnmaskSystemPaths)
	add(guard.GrantReadOnlyRoot, "true", o.Spec.ReadonlyRootfs)
	// Deckhand lets everybody listen on every port of a network of its own.
	add(guard.GrantSysctl, "net.ipv4.ip_unprivileged_port_start=0", o.Network != network.Host)
	for _, m := range o.Spec.Mounts {
		kind := guard.GrantMount
		if slices.Contains(m.Options, "ro") {
			kind = guard.GrantReadOnlyMount
		}
		add(kind, m.Source, isBind(m))
	}
	return grants
}

func capabilityName(name string) string {
	return strings.TrimPrefix(strings.ToUpper(name), "CAP_")
}

func isBind(m specs.Mount) bool {
	return m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

func containerVariables(o containerOptions, at guard.Location) []guard.Variable {
	var all []guard.Variable
	for _, env := range o.Spec.Env {
		if name, value, ok := strings.Cut(env, "="); ok {
			all = append(all, guard.Variable{Name: name, Value: value, Where: at})
		}
	}
	return all
}

func containerPorts(o containerOptions, at guard.Location) []guard.Port {
	var ports []guard.Port
	for _, p := range o.Ports {
		port := guard.Port{Number: int(p.ContainerPort), Protocol: p.Protocol, Where: at}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}
