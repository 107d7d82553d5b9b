package ui

import (
	"fmt"
	"strconv"
	"time"
)

var decimalUnits = [...]string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}

// HumanSize shows bytes with decimal units and three digits, as docker images does: "77.9MB", "1.24kB".
func HumanSize(bytes int64) string {
	v, i := float64(bytes), 0
	for i+1 < len(decimalUnits) && v >= 999.5 {
		v /= 1000
		i++
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + decimalUnits[i]
}

// transferSize shows bytes as BuildKit's progress does: "55B", "2.00kB", "29.13MB".
func transferSize(bytes int64) string {
	v, i := float64(bytes), 0
	for i+1 < len(decimalUnits) && v >= 1000 {
		v /= 1000
		i++
	}
	if i == 0 {
		return strconv.FormatInt(bytes, 10) + "B"
	}
	return strconv.FormatFloat(v, 'f', 2, 64) + decimalUnits[i]
}

// HumanDuration shows a duration in docker's words: "5 seconds", "About a minute", "2 weeks".
func HumanDuration(d time.Duration) string {
	const day = 24
	seconds, minutes, hours := int(d.Seconds()), int(d.Minutes()), int(d.Hours()+0.5)
	switch {
	case seconds < 1:
		return "Less than a second"
	case seconds == 1:
		return "1 second"
	case seconds < 60:
		return fmt.Sprintf("%d seconds", seconds)
	case minutes == 1:
		return "About a minute"
	case minutes < 60:
		return fmt.Sprintf("%d minutes", minutes)
	case hours == 1:
		return "About an hour"
	case hours < 2*day:
		return fmt.Sprintf("%d hours", hours)
	case hours < 14*day:
		return fmt.Sprintf("%d days", hours/day)
	case hours < 60*day:
		return fmt.Sprintf("%d weeks", hours/day/7)
	case hours < 365*2*day:
		return fmt.Sprintf("%d months", hours/day/30)
	}
	return fmt.Sprintf("%d years", hours/day/365)
}

// Ago is docker's CREATED column: "2 minutes ago"; "N/A" for the zero time.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "N/A"
	}
	return HumanDuration(now.Sub(t)) + " ago"
}
