package proof_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/proof"
)

// drawn is what a picture is made of.
type drawn struct {
	text string         // all of it
	bars map[string]int // the widths of all bars together, by class
	tags map[string]int
}

// read takes a picture apart, strictly.
func read(t *testing.T, svg []byte) drawn {
	t.Helper()
	d := drawn{bars: map[string]int{}, tags: map[string]int{}}
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.CharData:
			d.text += string(token)
		case xml.StartElement:
			d.tags[token.Name.Local]++
			attributes := map[string]string{}
			for _, a := range token.Attr {
				attributes[a.Name.Local] = a.Value
			}
			if width, err := strconv.Atoi(attributes["width"]); err == nil && attributes["height"] == "11" && width != 11 {
				d.bars[attributes["class"]] += width
			}
		}
	}
}

func TestPicture(t *testing.T) {
	p := sample()
	d := read(t, files(t, p)[proof.PictureName])
	before, after := p.Before.Tally(), p.After.Tally()
	for _, want := range []string{
		"redis: what an attacker in it can do",
		fmt.Sprintf("before: as it is (root), %d of %d probes allowed", before.Allowed, before.Probes),
		fmt.Sprintf("after: hardened, %d of %d probes allowed", after.Allowed, after.Probes),
		fmt.Sprintf("by severity: high %d → %d, medium %d → %d, low %d → %d", before.High, after.High, before.Medium, after.Medium, before.Low, after.Low),
		"prefers-color-scheme:dark", "sans-serif",
	} {
		if !strings.Contains(d.text, want) {
			t.Errorf("no %q in %s", want, d.text)
		}
	}
	// Bars are as long as the counts say, up to a point for each that is rounded.
	scale := float64(d.bars["track"]) / 2 / float64(before.Probes)
	for class, count := range map[string]int{"before": before.Allowed, "after": after.Allowed} {
		want := scale * float64(count)
		if got := float64(d.bars[class]); got > want+1 || got < want-10 {
			t.Errorf("%s: bars are %g long, want %g", class, got, want)
		}
	}
}

// TestPictureWithout draws no bar where nothing is allowed.
func TestPictureWithout(t *testing.T) {
	p := sample()
	p.After = &probe.Column{Title: "nothing"}
	for _, one := range probe.Probes() {
		p.After.Results = append(p.After.Results, probe.Result{Probe: one.Name, Verdict: probe.Denied})
	}
	if d := read(t, files(t, p)[proof.PictureName]); d.bars["after"] != 0 || d.bars["before"] == 0 {
		t.Errorf("bars %v", d.bars)
	}
}

// TestHostilePicture: names are text, whatever is in them.
func TestHostilePicture(t *testing.T) {
	d := read(t, files(t, hostile())[proof.PictureName])
	for tag := range d.tags {
		switch tag {
		case "svg", "title", "desc", "style", "rect", "text":
		default:
			t.Errorf("there is a <%s>", tag)
		}
	}
	if !strings.Contains(d.text, "<script>") || strings.ContainsAny(d.text, "\x1b\u2028\u202e") {
		t.Errorf("the text is %q", d.text)
	}
}
