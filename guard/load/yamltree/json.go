package yamltree

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bounds of what [Node.JSON] writes.
const (
	maxValues = 1 << 18
	maxDepth  = 200
	maxBytes  = 64 << 20
)

// ErrTooLarge says that aliases make a document larger than anything that is meant.
var ErrTooLarge = errors.New("aliases make it too large, or it is nested too deeply")

// JSON is the value as JSON, aliases and merge keys resolved, and scalars understood as Kubernetes' tools do, by
// YAML 1.1: yes, on and 0755 are true, true and 493. The error is ErrTooLarge.
func (n Node) JSON() ([]byte, error) { return n.jsonOf(math.MaxInt) }

// jsonOf writes null instead of all values but the first count ones, containers before what they contain.
func (n Node) jsonOf(count int) ([]byte, error) {
	w := writer{doc: n.doc, left: maxValues, count: count}
	w.write(n.target(), 0)
	return w.out, w.err
}

// Culprit is the first value, in the order of the document, without which decode accepts the JSON of all before it:
// the one that is of a wrong type. It is the node itself where decode accepts all of it.
func (n Node) Culprit(decode func([]byte) error) Node {
	w := writer{doc: n.doc, left: maxValues, count: math.MaxInt, list: true}
	w.write(n.target(), 0)
	low, high := 0, len(w.nodes)
	for low < high {
		middle := (low + high) / 2
		data, err := n.jsonOf(middle + 1)
		if err == nil {
			err = decode(data)
		}
		if err != nil {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if low == len(w.nodes) {
		return n
	}
	return w.nodes[low]
}

// writer writes JSON.
type writer struct {
	doc   *document
	out   []byte
	err   error
	left  int // values that may still be written
	count int // values that are written as they are
	list  bool
	nodes []Node // the values in the order they were written, if list
	key   *yaml.Node
}

func (w *writer) write(v *yaml.Node, depth int) {
	v = (Node{value: v}).target()
	if w.left--; w.left < 0 || depth > maxDepth || len(w.out) > maxBytes {
		w.err = ErrTooLarge
		return
	}
	if w.list {
		w.nodes = append(w.nodes, Node{doc: w.doc, key: w.key, value: v})
	}
	if w.count--; w.count < 0 || v == nil {
		w.out = append(w.out, "null"...)
		return
	}
	switch v.Kind {
	case yaml.MappingNode:
		w.mapping(v, depth)
	case yaml.SequenceNode:
		w.sequence(v, depth)
	case yaml.ScalarNode:
		w.out = append(w.out, scalar(v)...)
	default:
		w.out = append(w.out, "null"...)
	}
}

func (w *writer) mapping(v *yaml.Node, depth int) {
	w.out = append(w.out, '{')
	for i, p := range w.doc.pairs(v) {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = append(w.out, text(p.key.Value)...)
		w.out = append(w.out, ':')
		w.key = p.key
		w.write(p.value, depth+1)
		if w.err != nil {
			return
		}
	}
	if w.doc.left < 0 {
		w.err = ErrTooLarge
	}
	w.out = append(w.out, '}')
}

func (w *writer) sequence(v *yaml.Node, depth int) {
	w.out = append(w.out, '[')
	for i, item := range v.Content {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.key = nil
		w.write(item, depth+1)
		if w.err != nil {
			return
		}
	}
	w.out = append(w.out, ']')
}

// scalar is a scalar as JSON.
func scalar(v *yaml.Node) string {
	if v.Style&yaml.TaggedStyle == 0 {
		if v.Style&(quoted|block) != 0 {
			return text(v.Value)
		}
	} else if v.Tag != "!!int" && v.Tag != "!!float" && v.Tag != "!!bool" && v.Tag != "!!null" {
		return text(v.Value)
	}
	if null(v.Value) {
		return "null"
	}
	if word, ok := boolean(v.Value); ok {
		return word
	}
	if number, ok := number(v.Value); ok {
		return number
	}
	return text(v.Value)
}

func text(s string) string {
	out, err := json.Marshal(s)
	if err != nil { // no string has one
		return `""`
	}
	return string(out)
}

// Bool is the value of a plain scalar that YAML 1.1 has for true or false; ok is false for all else.
func (n Node) Bool() (value, ok bool) {
	v := n.target()
	if n.Kind() != Scalar || v.Style&(quoted|block) != 0 {
		return false, false
	}
	word, ok := boolean(v.Value)
	return word == "true", ok
}

// boolean is a word that YAML 1.1 has for true or false.
func boolean(s string) (string, bool) {
	switch s {
	case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y":
		return "true", true
	case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N":
		return "false", true
	}
	return "", false
}

// number is a number of YAML 1.1 as JSON.
func number(s string) (string, bool) {
	if c := s[0]; c != '+' && c != '-' && c != '.' && (c < '0' || c > '9') {
		return "", false
	}
	digits := strings.ReplaceAll(s, "_", "")
	if i, err := strconv.ParseInt(digits, 0, 64); err == nil {
		return strconv.FormatInt(i, 10), true
	}
	if u, err := strconv.ParseUint(digits, 0, 64); err == nil {
		return strconv.FormatUint(u, 10), true
	}
	if !floating(digits) {
		return "", false
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return "", false
	}
	out, err := json.Marshal(f)
	return string(out), err == nil
}

// floating reports whether a text is a number with digits, at most one point and an exponent of ten.
func floating(s string) bool {
	s = strings.TrimLeft(s[:1], "+-") + s[1:]
	mantissa, exponent, found := s, "", false
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent, found = s[:i], s[i+1:], true
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if found && !digitsOnly(strings.TrimPrefix(strings.TrimPrefix(exponent, "+"), "-")) {
		return false
	}
	switch {
	case whole == "":
		return digitsOnly(fraction)
	case fraction == "":
		return digitsOnly(whole)
	}
	return digitsOnly(whole) && digitsOnly(fraction)
}

// digitsOnly reports whether a text is one or more digits.
func digitsOnly(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
