package kube

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/overlay"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// container is a container of a pod with its place.
type container struct {
	what string // "container", "init container", "ephemeral container"
	spec *corev1.Container
	node yamltree.Node
}

// name is how the container is called, its number where it has no name.
func (c container) name(i int) string {
	return c.what + " " + cmp.Or(c.spec.Name, strconv.Itoa(i+1))
}

// security is the container's security context, and an empty one where it has none.
func (c container) security() *corev1.SecurityContext {
	if c.spec.SecurityContext == nil {
		return &corev1.SecurityContext{}
	}
	return c.spec.SecurityContext
}

// securityNode is the place of its security context.
func (c container) securityNode() yamltree.Node { return c.node.Get("securityContext") }

// containers are all containers, those that the pod is for first.
func (w workload) containers() []container {
	var all []container
	spec, node := &w.template.Spec, w.node.Get("spec")
	for i := range spec.Containers {
		all = append(all, container{"container", &spec.Containers[i], node.Get("containers", i)})
	}
	for i := range spec.InitContainers {
		all = append(all, container{"init container", &spec.InitContainers[i], node.Get("initContainers", i)})
	}
	for i := range spec.EphemeralContainers {
		c := (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon)
		all = append(all, container{"ephemeral container", c, node.Get("ephemeralContainers", i)})
	}
	return all
}

// security is the pod's security context, and an empty one where it has none.
func (w workload) security() *corev1.PodSecurityContext {
	if w.template.Spec.SecurityContext == nil {
		return &corev1.PodSecurityContext{}
	}
	return w.template.Spec.SecurityContext
}

// windows reports whether the pod is for Windows, where there is neither root nor a uid.
func (w workload) windows() bool {
	spec := &w.template.Spec
	if spec.OS != nil {
		return spec.OS.Name == corev1.Windows
	}
	return spec.NodeSelector["kubernetes.io/os"] == "windows" || spec.NodeSelector["beta.kubernetes.io/os"] == "windows"
}

// subjects are the workload's containers.
func (w workload) subjects(ctx context.Context, env guard.Env) []*guard.Subject {
	all := w.containers()
	subjects := make([]*guard.Subject, len(all))
	for i, c := range all {
		subjects[i] = w.subject(ctx, env, c)
		subjects[i].Name = strings.TrimSuffix(w.kind+" "+w.name, " ") + ", " + c.name(i)
	}
	if len(subjects) > 0 {
		subjects[0].Violations = w.podViolations(all)
	}
	for i, c := range all {
		subjects[i].Violations = append(subjects[i].Violations, w.containerViolations(c)...)
	}
	return subjects
}

func (w workload) subject(ctx context.Context, env guard.Env, c container) *guard.Subject {
	s := &guard.Subject{
		Kind: guard.KindKubernetes, Where: c.node.KeyPlace(), Image: c.spec.Image,
		ImageAt: place(c.node.Get("image"), c.node), Variables: variables(c),
	}
	if w.windows() {
		notRoot := guard.ID{Least: 1, Most: guard.MaxID}
		s.User = guard.User{Where: s.ImageAt, UID: notRoot, GID: notRoot}
		return s
	}
	img := overlay.Find(ctx, env, c.spec.Image)
	s.User = w.user(ctx, c, img)
	s.UserSlot = userSlot(c)
	s.Command, s.Drop = w.start(ctx, c, img, s.User)
	s.Ports = ports(c)
	s.Grants = append(w.podGrants(), w.containerGrants(c)...)
	s.RunAsNonRoot = w.runAsNonRoot(c)
	return s
}

// place is the range of a value, or where its owner begins if it is not there.
func place(n, owner yamltree.Node) guard.Location {
	if !n.Exists() {
		return owner.KeyPlace()
	}
	return n.Value()
}

// user is who the container starts as: the container's security context goes before the pod's, field by field, and
// both before the image.
func (w workload) user(ctx context.Context, c container, img overlay.Image) guard.User {
	uid, at := w.either(c, "runAsUser", func(s *corev1.SecurityContext) *int64 { return s.RunAsUser }, w.security().RunAsUser)
	gid, groupAt := w.either(c, "runAsGroup", func(s *corev1.SecurityContext) *int64 { return s.RunAsGroup }, w.security().RunAsGroup)
	if uid == nil {
		u := img.Own(ctx)
		u.Where = place(c.node.Get("image"), c.node)
		if gid != nil && *gid >= 0 && *gid <= guard.MaxID {
			u.GID, u.GroupSet = guard.Exactly(uint32(*gid)), true
		}
		return u
	}
	spec := strconv.FormatInt(*uid, 10)
	if gid != nil {
		spec += ":" + strconv.FormatInt(*gid, 10)
	}
	u := img.Replaced(ctx, spec)
	u.From, u.Inherited = "", false
	u.Where = at.Value()
	if raw := at.Text(); raw != spec && groupAt.Text() == "" {
		u.Raw = raw
	}
	return u
}

// either is a number of the container's security context, or else of the pod's, with its place.
func (w workload) either(c container, field string, own func(*corev1.SecurityContext) *int64, pods *int64) (*int64, yamltree.Node) {
	if v := own(c.security()); v != nil {
		return v, c.securityNode().Get(field)
	}
	return pods, w.node.Get("spec", "securityContext", field)
}

// userSlot is where the container says, or would say, what uid it runs as.
func userSlot(c container) *guard.Slot {
	security := c.securityNode()
	if c.node.Apart() || security.Apart() {
		return nil // others share it
	}
	if uid := security.Get("runAsUser"); uid.Kind() == yamltree.Scalar {
		return &guard.Slot{At: uid.Value()}
	}
	if security.Block() {
		return before(security.Own()[0], "runAsUser: ", 0)
	}
	own := c.node.Own()
	if security.Exists() || !c.node.Block() || len(own) == 0 {
		return nil
	}
	next := own[0]
	if len(own) > 1 {
		next = own[1] // a list item's name should stay where it is
	}
	return before(next, "securityContext:\n%s  runAsUser: ", 1)
}

// before is the place for a line in front of another key of the same mapping. Each %s is the indentation.
func before(next yamltree.Node, text string, lines int) *guard.Slot {
	at := next.KeyPlace()
	at.EndLine, at.EndColumn = at.Line, at.Column
	indent := strings.Repeat(" ", at.Column-1)
	if lines > 0 {
		text = fmt.Sprintf(text, indent)
	}
	return &guard.Slot{At: at, Before: text, After: "\n" + indent}
}

// start is what starts: command replaces ENTRYPOINT, args replace CMD, and an empty list is none.
func (w workload) start(ctx context.Context, c container, img overlay.Image, u guard.User) (guard.Command, *guard.Drop) {
	var entrypoint, command []string
	at := place(c.node.Get("image"), c.node)
	if len(c.spec.Args) > 0 {
		command, at = c.spec.Args, place(c.node.Get("args"), c.node)
	}
	if len(c.spec.Command) > 0 {
		entrypoint, at = c.spec.Command, place(c.node.Get("command"), c.node)
	}
	started, drop := img.Start(ctx, u, entrypoint, command)
	started.Where = at
	if drop != nil {
		drop.Where = at
	}
	return started, drop
}

// ports are those the container listens on. A hostPort is the node's, who forwards it.
func ports(c container) []guard.Port {
	var found []guard.Port
	for i, p := range c.spec.Ports {
		if p.ContainerPort != 0 {
			protocol := strings.ToLower(cmp.Or(string(p.Protocol), "tcp"))
			at := c.node.Get("ports", i)
			found = append(found, guard.Port{
				Number: int(p.ContainerPort), Protocol: protocol, Where: place(at.Get("containerPort"), at),
			})
		}
	}
	return found
}

// variables are those whose values stand in the manifest.
func variables(c container) []guard.Variable {
	var found []guard.Variable
	for i, v := range c.spec.Env {
		if at := c.node.Get("env", i, "value"); v.ValueFrom == nil && at.Exists() {
			found = append(found, guard.Variable{Name: v.Name, Value: v.Value, Where: at.Value()})
		}
	}
	return found
}

// runAsNonRoot is the promise that the kubelet verifies, the container's before the pod's.
func (w workload) runAsNonRoot(c container) *guard.Grant {
	promise, at := w.security().RunAsNonRoot, w.node.Get("spec", "securityContext", "runAsNonRoot")
	if own := c.security().RunAsNonRoot; own != nil {
		promise, at = own, c.securityNode().Get("runAsNonRoot")
	}
	if promise == nil || !*promise {
		return nil
	}
	return &guard.Grant{Value: "true", Where: at.Value()}
}
