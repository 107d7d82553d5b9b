package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kubejson "sigs.k8s.io/json"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// Bounds of what is looked at in one document, for aliases may nest lists in lists.
const (
	maxObjects = 1 << 16
	maxNesting = 32
)

// workload is an object that makes pods.
type workload struct {
	kind, name string
	node       yamltree.Node // of the pod template: metadata and spec
	template   *corev1.PodTemplateSpec
}

// find is what makes pods in a document. The error is that of the first object which cannot be read.
func find(document yamltree.Node) ([]workload, error) {
	f := finder{left: maxObjects}
	f.object(document, object{}, 0)
	return f.found, f.err
}

type finder struct {
	found []workload
	err   error
	left  int // objects that may still be looked at
}

// object is what an object says of itself, or a list of its items.
type object struct{ version, kind string }

func (o object) group() string {
	group, _, found := strings.Cut(o.version, "/")
	if !found {
		return ""
	}
	return group
}

// object looks at one object, or at the items of a list. like is what it is where it does not say so.
func (f *finder) object(n yamltree.Node, like object, depth int) {
	if f.left--; f.left < 0 || depth > maxNesting {
		f.fail(&guard.SyntaxError{Line: max(n.Line(), 1), Text: "lists are nested too deeply, or hold too much"})
		return
	}
	o := object{n.Get("apiVersion").Text(), n.Get("kind").Text()}
	if o.kind == "" {
		o = like
	}
	if of, ok := strings.CutSuffix(o.kind, "List"); ok && n.Get("items").Kind() == yamltree.Sequence {
		for _, item := range n.Get("items").Items() {
			f.object(item, object{o.version, of}, depth+1)
		}
		return
	}
	if path, ok := templatePath(o); ok {
		f.workload(o.kind, n, n.Get(path...))
	} else if custom(o.group()) {
		f.embedded(o.kind, n, n, depth)
	}
}

func (f *finder) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// templatePath is where a kind of Kubernetes' own has its pod template; a pod is one itself.
func templatePath(o object) ([]any, bool) {
	switch o.group() + "/" + o.kind {
	case "/Pod":
		return nil, true
	case "/PodTemplate":
		return []any{"template"}, true
	case "/ReplicationController",
		"apps/Deployment", "apps/ReplicaSet", "apps/StatefulSet", "apps/DaemonSet", "batch/Job",
		"extensions/Deployment", "extensions/ReplicaSet", "extensions/DaemonSet":
		return []any{"spec", "template"}, true
	case "batch/CronJob":
		return []any{"spec", "jobTemplate", "spec", "template"}, true
	}
	return nil, false
}

// custom reports whether a group is of somebody's own resources.
func custom(group string) bool {
	return strings.Contains(group, ".") && (!strings.HasSuffix(group, ".k8s.io") || strings.HasSuffix(group, ".x-k8s.io"))
}

// workload adds a workload of Kubernetes' own.
func (f *finder) workload(kind string, object, template yamltree.Node) {
	if template.Kind() != yamltree.Mapping {
		return
	}
	spec := &corev1.PodTemplateSpec{}
	data, err := template.JSON()
	if err == nil {
		err = kubejson.UnmarshalCaseSensitivePreserveInts(data, spec)
	}
	if err != nil {
		f.fail(typeError(template, err))
		return
	}
	setDefaults(&spec.Spec)
	f.found = append(f.found, workload{kind, nameOf(object), template, spec})
}

// setDefaults fills in what the API server does before anybody judges the pod: a volume without a source is an
// empty directory.
func setDefaults(spec *corev1.PodSpec) {
	for i := range spec.Volumes {
		if v := &spec.Volumes[i]; v.VolumeSource == (corev1.VolumeSource{}) {
			v.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	}
}

// embedded looks for PodTemplateSpecs in somebody's own resource: what stands under a key called template, has
// containers with images, and decodes without a field left over.
func (f *finder) embedded(kind string, object, n yamltree.Node, depth int) {
	if f.left--; f.left < 0 || depth > maxNesting {
		return
	}
	key := n.Key()
	if strings.HasSuffix(key, "emplate") && n.Get("spec", "containers").Kind() == yamltree.Sequence {
		if spec := strictly(n); spec != nil {
			setDefaults(&spec.Spec)
			f.found = append(f.found, workload{kind, nameOf(object), n, spec})
			return
		}
	}
	for _, value := range n.Pairs() {
		f.embedded(kind, object, value, depth+1)
	}
	for _, item := range n.Items() {
		f.embedded(kind, object, item, depth+1)
	}
}

// strictly decodes a PodTemplateSpec; nil: it is none.
func strictly(n yamltree.Node) *corev1.PodTemplateSpec {
	data, err := n.JSON()
	if err != nil {
		return nil
	}
	spec := &corev1.PodTemplateSpec{}
	leftOver, err := kubejson.UnmarshalStrict(data, spec, kubejson.DisallowUnknownFields)
	if err != nil || len(leftOver) > 0 || len(spec.Spec.Containers) == 0 {
		return nil
	}
	for i := range spec.Spec.Containers {
		if c := &spec.Spec.Containers[i]; c.Name == "" || c.Image == "" {
			return nil
		}
	}
	return spec
}

// nameOf is an object's name, or the beginning of the one it gets.
func nameOf(object yamltree.Node) string {
	if name := object.Get("metadata", "name").Text(); name != "" {
		return name
	}
	return object.Get("metadata", "generateName").Text()
}

// typeError says which value cannot be decoded, and why.
func typeError(n yamltree.Node, err error) error {
	if errors.Is(err, yamltree.ErrTooLarge) {
		return &guard.SyntaxError{Line: n.Line(), Text: err.Error()}
	}
	culprit := n.Culprit(func(data []byte) error {
		return kubejson.UnmarshalCaseSensitivePreserveInts(data, &corev1.PodTemplateSpec{})
	})
	what := "this"
	if culprit.Key() != "" {
		what = culprit.Key()
	}
	text := fmt.Sprintf("%s: %v", what, err)
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		text = fmt.Sprintf("%s must be %s, not %s", what, inWords(mismatch.Type), describe(culprit, mismatch))
	}
	return &guard.SyntaxError{Line: max(culprit.Line(), 1), Text: text}
}

// inWords is what a type looks like in a manifest.
func inWords(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the others do not occur in a pod
	case reflect.Bool:
		return "true or false"
	case reflect.Int32, reflect.Int64, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	}
	return "a mapping"
}

// describe is the value in question.
func describe(n yamltree.Node, mismatch *json.UnmarshalTypeError) string {
	if n.Kind() != yamltree.Scalar {
		return n.Kind().String()
	}
	if mismatch.Value == "string" {
		return strconv.Quote(n.Text())
	}
	return n.Text()
}
