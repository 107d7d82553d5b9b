package kube

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// The annotations that said before Kubernetes 1.19 and 1.30 what fields say now. The AppArmor one still counts.
const (
	seccompPodAnnotation       = "seccomp.security.alpha.kubernetes.io/pod"
	seccompContainerAnnotation = "container.seccomp.security.alpha.kubernetes.io/"
	appArmorAnnotation         = corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix
	unconfined                 = "unconfined"
)

// podGrants are what the pod gives to every container.
func (w workload) podGrants() []guard.Grant {
	spec, node := &w.template.Spec, w.node.Get("spec")
	var found []guard.Grant
	for _, n := range []struct {
		shared       bool
		value, field string
	}{
		{spec.HostPID, "pid", "hostPID"},
		{spec.HostNetwork, "network", "hostNetwork"},
		{spec.HostIPC, "ipc", "hostIPC"},
		{isTrue(spec.HostUsers), "user", "hostUsers"},
	} {
		if n.shared {
			found = append(found, guard.Grant{Kind: guard.GrantNamespace, Value: n.value, Where: node.Get(n.field).Value()})
		}
	}
	for i, s := range w.security().Sysctls {
		at := node.Get("securityContext", "sysctls", i)
		found = append(found, guard.Grant{Kind: guard.GrantSysctl, Value: s.Name + "=" + s.Value, Where: place(at.Get("name"), at)})
	}
	return found
}

func isTrue(b *bool) bool { return b != nil && *b }

// containerGrants are what the pod gives to one container.
func (w workload) containerGrants(c container) []guard.Grant {
	security, node := c.security(), c.securityNode()
	var found []guard.Grant
	add := func(ok bool, kind guard.GrantKind, value string, at yamltree.Node) {
		if ok {
			found = append(found, guard.Grant{Kind: kind, Value: value, Where: at.Value()})
		}
	}
	add(isTrue(security.Privileged), guard.GrantPrivileged, "true", node.Get("privileged"))
	if escalation := security.AllowPrivilegeEscalation; escalation != nil {
		kind := guard.GrantNoEscalation
		if *escalation {
			kind = guard.GrantEscalation
		}
		add(true, kind, "true", node.Get("allowPrivilegeEscalation"))
	}
	if caps := security.Capabilities; caps != nil {
		for i, name := range caps.Add {
			add(true, guard.GrantCapability, capability(name), node.Get("capabilities", "add", i))
		}
		for i, name := range caps.Drop {
			add(true, guard.GrantDropped, capability(name), node.Get("capabilities", "drop", i))
		}
	}
	add(isTrue(security.ReadOnlyRootFilesystem), guard.GrantReadOnlyRoot, "true", node.Get("readOnlyRootFilesystem"))
	unmasked := security.ProcMount != nil && *security.ProcMount == corev1.UnmaskedProcMount
	add(unmasked, guard.GrantUnconfined, "systempaths", node.Get("procMount"))
	for _, u := range []struct {
		what string
		at   yamltree.Node
	}{{"seccomp", w.seccompOff(c)}, {"apparmor", w.appArmorOff(c)}, {"label", w.labelOff(c)}} {
		add(u.at.Exists(), guard.GrantUnconfined, u.what, u.at)
	}
	return append(found, w.mounts(c)...)
}

func capability(name corev1.Capability) string {
	return strings.TrimPrefix(strings.ToUpper(string(name)), "CAP_")
}

// annotation is the place of a pod's annotation, if it has that value.
func (w workload) annotation(key, value string) yamltree.Node {
	if w.template.Annotations[key] != value {
		return yamltree.Node{}
	}
	return w.node.Get("metadata", "annotations", key)
}

// seccompOff is the place that switches seccomp off; it does not exist where nothing does.
func (w workload) seccompOff(c container) yamltree.Node {
	own, pods := c.security().SeccompProfile, w.security().SeccompProfile
	switch {
	case own != nil && own.Type == corev1.SeccompProfileTypeUnconfined:
		return c.securityNode().Get("seccompProfile", "type")
	case own != nil:
		return yamltree.Node{}
	case pods != nil && pods.Type == corev1.SeccompProfileTypeUnconfined:
		return w.node.Get("spec", "securityContext", "seccompProfile", "type")
	case pods != nil:
		return yamltree.Node{}
	}
	if key := seccompContainerAnnotation + c.spec.Name; w.template.Annotations[key] != "" {
		return w.annotation(key, unconfined)
	}
	return w.annotation(seccompPodAnnotation, unconfined)
}

// appArmorOff is the place that switches AppArmor off.
func (w workload) appArmorOff(c container) yamltree.Node {
	own, pods := c.security().AppArmorProfile, w.security().AppArmorProfile
	switch {
	case own != nil && own.Type == corev1.AppArmorProfileTypeUnconfined:
		return c.securityNode().Get("appArmorProfile", "type")
	case own != nil:
		return yamltree.Node{}
	}
	if key := appArmorAnnotation + c.spec.Name; w.template.Annotations[key] != "" {
		return w.annotation(key, unconfined)
	}
	if pods != nil && pods.Type == corev1.AppArmorProfileTypeUnconfined {
		return w.node.Get("spec", "securityContext", "appArmorProfile", "type")
	}
	return yamltree.Node{}
}

// labelOff is the place that gives the container SELinux's type for what may do anything.
func (w workload) labelOff(c container) yamltree.Node {
	const superPrivileged = "spc_t"
	own, pods := c.security().SELinuxOptions, w.security().SELinuxOptions
	switch {
	case own != nil && own.Type == superPrivileged:
		return c.securityNode().Get("seLinuxOptions", "type")
	case own == nil && pods != nil && pods.Type == superPrivileged:
		return w.node.Get("spec", "securityContext", "seLinuxOptions", "type")
	}
	return yamltree.Node{}
}

// mounts are the paths and devices of the host that the container mounts.
func (w workload) mounts(c container) []guard.Grant {
	var found []guard.Grant
	for _, m := range c.spec.VolumeMounts {
		for i, v := range w.template.Spec.Volumes {
			if v.Name != m.Name || v.HostPath == nil {
				continue
			}
			at := w.node.Get("spec", "volumes", i)
			g := guard.Grant{Kind: guard.GrantMount, Value: v.HostPath.Path, Where: place(at.Get("hostPath", "path"), at)}
			if m.SubPath != "" {
				g.Value = path.Join(g.Value, path.Clean("/"+m.SubPath))
			}
			switch {
			case device(v.HostPath):
				g.Kind = guard.GrantDevice
			case m.ReadOnly:
				g.Kind = guard.GrantReadOnlyMount
			}
			found = append(found, g)
		}
	}
	return found
}

// device reports whether a volume is said to be a device.
func device(v *corev1.HostPathVolumeSource) bool {
	return v.Type != nil && (*v.Type == corev1.HostPathCharDev || *v.Type == corev1.HostPathBlockDev)
}
