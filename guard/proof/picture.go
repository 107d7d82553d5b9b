package proof

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// Measures of the picture, in its own units.
const (
	pictureWidth = 720
	barLeft      = 130 // of all bars
	barWidth     = 440 // of the longest
	barHeight    = 11
	rowHeight    = 38
	rowsTop      = 92
	rowsBottom   = 46 // below the last row
)

// palette are the picture's colours: it is drawn on its own ground, so that it can be read on any page, and follows
// the reader's choice of light or dark where the viewer tells.
const palette = `<style>
.ground{fill:#ffffff;stroke:#d0d7de}.ink{fill:#1f2328}.pale{fill:#59636e}.track{fill:#eaeef2}.before{fill:#cf222e}.after{fill:#1a7f37}
@media (prefers-color-scheme:dark){.ground{fill:#0d1117;stroke:#30363d}.ink{fill:#e6edf3}.pale{fill:#9198a1}.track{fill:#262c36}.before{fill:#f85149}.after{fill:#3fb950}}
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif;font-size:13px}
.title{font-size:17px;font-weight:600}
</style>
`

// familyCount is how many probes of a family are allowed.
type familyCount struct {
	family             probe.Family
	all, before, after int
}

// pictured reports whether there is something to compare.
func (p *Proof) pictured() bool { return p.Before != nil && p.After != nil }

// families counts what is allowed, family by family in the catalogue's order.
func (p *Proof) families() []familyCount {
	var all []familyCount
	for _, one := range probe.Probes() {
		if len(all) == 0 || all[len(all)-1].family != one.Family {
			all = append(all, familyCount{family: one.Family})
		}
		f := &all[len(all)-1]
		f.all++
		if p.Before.Of(one.Name).Verdict == probe.Allowed {
			f.before++
		}
		if p.After.Of(one.Name).Verdict == probe.Allowed {
			f.after++
		}
	}
	return all
}

// picture is proof.svg: what is allowed before and after, a pair of bars for each family of probes.
func (p *Proof) picture() ([]byte, error) {
	if !p.pictured() {
		return nil, errNothing
	}
	families := p.families()
	before, after := p.Before.Tally(), p.After.Tally()
	height := rowsTop + rowHeight*len(families) + rowsBottom
	title := clip(p.name(), 30) + ": what an attacker in it can do"
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="13">`+"\n",
		pictureWidth, height)
	fmt.Fprintf(&b, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n", escaped(title), escaped(fmt.Sprintf(
		"Of %d probes %d are allowed before and %d after. %s", before.Probes, before.Allowed, after.Allowed, spoken(families))))
	b.WriteString(palette)
	fmt.Fprintf(&b, `<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", pictureWidth-1, height-1)
	writeText(&b, "ink title", 20, 32, title)
	writeLegend(&b, 50, "before", p.Before, before)
	writeLegend(&b, 68, "after", p.After, after)
	longest := 1
	for _, f := range families {
		longest = max(longest, f.all)
	}
	for i, f := range families {
		writeRow(&b, rowsTop+rowHeight*i, f, longest)
	}
	writeText(&b, "pale", 20, height-18, fmt.Sprintf("by severity: high %d → %d, medium %d → %d, low %d → %d",
		before.High, after.High, before.Medium, after.Medium, before.Low, after.Low))
	b.WriteString("</svg>\n")
	return []byte(b.String()), nil
}

// spoken is the picture for those who do not see it.
func spoken(families []familyCount) string {
	parts := make([]string, len(families))
	for i, f := range families {
		parts[i] = fmt.Sprintf("%s: %d, then %d of %d.", f.family, f.before, f.after, f.all)
	}
	return strings.Join(parts, " ")
}

func writeLegend(b *strings.Builder, top int, class string, c *probe.Column, t probe.Tally) {
	fmt.Fprintf(b, `<rect class="%s" x="20" y="%d" width="11" height="11" rx="2"/>`+"\n", class, top)
	writeText(b, "pale", 38, top+10, fmt.Sprintf("%s: %s, %d of %d probes allowed", class, clip(c.Title, 50), t.Allowed, t.Probes))
}

// writeRow draws a family: as long as it has probes, filled as far as they are allowed.
func writeRow(b *strings.Builder, top int, f familyCount, longest int) {
	writeText(b, "ink", 20, top+15, string(f.family))
	whole := barWidth * f.all / longest
	for i, bar := range []struct {
		class string
		count int
	}{{"before", f.before}, {"after", f.after}} {
		y := top + i*(barHeight+2)
		writeBar(b, "track", y, whole)
		if bar.count > 0 {
			writeBar(b, bar.class, y, whole*bar.count/f.all)
		}
	}
	writeText(b, "ink", barLeft+barWidth+20, top+15, fmt.Sprintf("%d → %d of %d", f.before, f.after, f.all))
}

func writeBar(b *strings.Builder, class string, y, width int) {
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="2"/>`+"\n", class, barLeft, y, width, barHeight)
}

func writeText(b *strings.Builder, class string, x, y int, content string) {
	fmt.Fprintf(b, `<text class="%s" x="%d" y="%d">%s</text>`+"\n", class, x, y, escaped(content))
}

// escaped is a text for XML.
func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(plain(s))) // a builder takes everything
	return b.String()
}

// clip shortens a text that would run out of the picture.
func clip(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}
