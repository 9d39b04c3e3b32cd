package main

import (
	"image/color"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

var colors = []color.Color{
	color.RGBA{0x1b, 0x6c, 0xa8, 0xff}, color.RGBA{0xc4, 0x4e, 0x1c, 0xff}, color.RGBA{0x3a, 0x7d, 0x44, 0xff},
	color.RGBA{0x7b, 0x4f, 0x9d, 0xff}, color.RGBA{0x96, 0x73, 0x1a, 0xff}, color.RGBA{0x55, 0x55, 0x55, 0xff},
}

// draw writes what point reads cost, beside the rates of scans. On the left, a cost that grows with the logarithm of the
// entries is a straight line.
func draw(name string, sizes []size) (err error) {
	points, scans := plot.New(), plot.New()
	points.Title.Text, points.Y.Label.Text = "A point read", "µs"
	scans.Title.Text, scans.Y.Label.Text = "Scans", "million entries/s"
	for _, p := range []*plot.Plot{points, scans} {
		p.X.Label.Text, p.X.Scale, p.X.Tick.Marker = "entries", plot.LogScale{}, ticks(sizes)
		p.Y.Min, p.Legend.Top, p.Legend.Left = 0, true, true
		p.BackgroundColor = color.White
	}
	for i, f := range figures {
		p, of := scans, func(rate float64) float64 { return rate / 1e6 }
		switch {
		case f.points:
			p, of = points, func(rate float64) float64 { return 1e6 / rate }
		case f.short == "short scan":
			of = func(rate float64) float64 { return rate * 100 / 1e6 }
		}
		for _, side := range []string{"Scribe", "Pebble"} {
			var line plotter.XYs
			for _, s := range sizes {
				rate := s.scribe[f.name]
				if side == "Pebble" {
					rate = s.pebble[f.name]
				}
				line = append(line, plotter.XY{X: float64(s.entries), Y: of(rate)})
			}
			l, dots, err := plotter.NewLinePoints(line)
			if err != nil {
				return err
			}
			l.Color, dots.Color, dots.Shape = colors[i], colors[i], vgdraw.CircleGlyph{}
			if side == "Pebble" {
				l.Dashes = []vg.Length{4, 3}
			}
			p.Add(l, dots)
			p.Legend.Add(f.short+", "+side, l)
		}
	}
	room(points)
	room(scans)
	c := vgsvg.New(24*vg.Centimeter, 11*vg.Centimeter)
	tiles := vgdraw.Tiles{Rows: 1, Cols: 2, PadX: vg.Centimeter, PadTop: vg.Points(8), PadBottom: vg.Points(8),
		PadLeft: vg.Points(8), PadRight: vg.Points(8)}
	at := plot.Align([][]*plot.Plot{{points, scans}}, tiles, vgdraw.New(c))
	points.Draw(at[0][0])
	scans.Draw(at[0][1])
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	_, err = c.WriteTo(f)
	return err
}

// room leaves the upper part of a plot to its legend.
func room(p *plot.Plot) { p.Y.Max *= 1.5 }

// ticks are the numbers of entries that were measured.
func ticks(sizes []size) plot.ConstantTicks {
	var out plot.ConstantTicks
	for _, s := range sizes {
		out = append(out, plot.Tick{Value: float64(s.entries), Label: millions(s.entries)})
	}
	return out
}
