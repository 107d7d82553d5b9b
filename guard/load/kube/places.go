package kube

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/policy"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// part is a piece of a pod that is judged by itself.
type part struct {
	meta  *metav1.ObjectMeta
	spec  *corev1.PodSpec
	place func(verdict) guard.Location
}

// parts are the pieces of the pod that belong to no container.
func (w workload) parts(all []container) []part {
	none, node := &metav1.ObjectMeta{}, w.node.Get("spec")
	found := []part{{
		&metav1.ObjectMeta{Annotations: w.otherAnnotations(all)}, w.bare(),
		func(v verdict) guard.Location { return w.podPlace(v) },
	}}
	add := func(ok bool, spec *corev1.PodSpec, at yamltree.Node) {
		if ok {
			found = append(found, part{none, spec, func(verdict) guard.Location { return at.Value() }})
		}
	}
	spec := &w.template.Spec
	add(spec.HostNetwork, &corev1.PodSpec{HostNetwork: true}, node.Get("hostNetwork"))
	add(spec.HostPID, &corev1.PodSpec{HostPID: true}, node.Get("hostPID"))
	add(spec.HostIPC, &corev1.PodSpec{HostIPC: true}, node.Get("hostIPC"))
	for i, v := range spec.Volumes {
		at := node.Get("volumes", i)
		for key, source := range at.Pairs() {
			if key == "name" {
				continue
			}
			if inner := source.Get("path"); key == "hostPath" && inner.Exists() {
				source = inner
			}
			at = source
		}
		add(true, &corev1.PodSpec{Volumes: []corev1.Volume{v}}, at)
	}
	for i, s := range w.security().Sysctls {
		security := &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{s}}
		at := node.Get("securityContext", "sysctls", i)
		if name := at.Get("name"); name.Exists() {
			at = name
		}
		add(true, &corev1.PodSpec{SecurityContext: security}, at)
	}
	return found
}

// fields are what a check of security contexts looks at, the most exact first.
func fields(id policy.CheckID) [][]any {
	switch id {
	case appArmor:
		return [][]any{{"appArmorProfile", "type"}, {"appArmorProfile"}}
	case "seccompProfile_baseline", "seccompProfile_restricted":
		return [][]any{{"seccompProfile", "type"}, {"seccompProfile"}}
	case "seLinuxOptions":
		return [][]any{{"seLinuxOptions"}}
	case "procMount", "procMount_restricted":
		return [][]any{{"procMount"}}
	case "windowsHostProcess":
		return [][]any{{"windowsOptions", "hostProcess"}}
	}
	return [][]any{{string(id)}} // privileged, allowPrivilegeEscalation, runAsNonRoot, runAsUser are called so
}

// podPlace is where the pod itself breaks a check.
func (w workload) podPlace(v verdict) guard.Location {
	spec := w.node.Get("spec")
	candidates := w.annotationPlaces("", v)
	for _, field := range fields(v.id) {
		candidates = append(candidates, spec.Get("securityContext").Get(field...))
	}
	return firstOf(candidates, spec)
}

// containerPlace is where a container breaks a check: the field that does, or the container where one is missing.
func (w workload) containerPlace(c container, v verdict) guard.Location {
	security := c.securityNode()
	var candidates []yamltree.Node
	switch v.id {
	case hostPorts:
		for i, p := range c.spec.Ports {
			if p.HostPort != 0 {
				candidates = append(candidates, c.node.Get("ports", i, "hostPort"))
			}
		}
	case hostProbes:
		candidates = probeHosts(c.node)
	case baselineCapabilities, restrictedCapabilities:
		candidates = capabilityPlaces(c, v.id)
	default:
		for _, field := range fields(v.id) {
			candidates = append(candidates, security.Get(field...))
		}
		candidates = append(candidates, w.annotationPlaces(c.spec.Name, v)...)
	}
	return firstOf(candidates, c.node)
}

// annotationPlaces are AppArmor's annotations for a container, or for any.
func (w workload) annotationPlaces(name string, v verdict) []yamltree.Node {
	var found []yamltree.Node
	if v.id != appArmor {
		return nil
	}
	for key, value := range w.node.Get("metadata", "annotations").Pairs() {
		if strings.HasPrefix(key, appArmorAnnotation+name) && strings.Contains(v.result.ForbiddenDetail, key) {
			found = append(found, value)
		}
	}
	return found
}

// firstOf is the range of the first value that is there, or where the owner begins.
func firstOf(candidates []yamltree.Node, owner yamltree.Node) guard.Location {
	for _, n := range candidates {
		if n.Exists() && n.Kind() != yamltree.Null {
			return n.Value()
		}
	}
	return owner.KeyPlace()
}

// probeHosts are the hosts that probes and hooks of a container name.
func probeHosts(n yamltree.Node) []yamltree.Node {
	var found []yamltree.Node
	for _, probe := range [][]any{
		{"livenessProbe"}, {"readinessProbe"}, {"startupProbe"}, {"lifecycle", "postStart"}, {"lifecycle", "preStop"},
	} {
		for _, action := range []string{"httpGet", "tcpSocket"} {
			if host := n.Get(probe...).Get(action, "host"); host.Text() != "" {
				found = append(found, host)
			}
		}
	}
	return found
}

// capabilityPlaces are the capabilities a container must not add, or where it should drop all.
func capabilityPlaces(c container, id policy.CheckID) []yamltree.Node {
	caps, node := c.security().Capabilities, c.securityNode().Get("capabilities")
	var found []yamltree.Node
	if caps == nil {
		return nil
	}
	if id == restrictedCapabilities && !slices.Contains(caps.Drop, "ALL") {
		return append(found, node.Get("drop"))
	}
	for i, name := range caps.Add {
		if id == restrictedCapabilities && name != "NET_BIND_SERVICE" && !forbidden(name) || id == baselineCapabilities && forbidden(name) {
			found = append(found, node.Get("add", i))
		}
	}
	return found
}
