// Golden schemas, written as Go structs.
package main

type Every struct {
	A int8
	B int16
	C int32
	D int64
	E uint8
	F uint16
	G uint32
	H uint64
	I float32
	J float64
	K bool
	L byte `datablock:"l,char"`
}

type Inner struct {
	A uint8
	B uint16
	C uint8
	D uint32
	E uint8
	F uint64
	G uint8
}

type Tail struct {
	Value float64
	Flag  uint8
}

type Names struct {
	First  [16]byte   `datablock:"first,char"`
	Others [4][8]byte `datablock:",char"`
	One    byte       `datablock:",char"`
}

type Matrix struct{ Cells [3][4]float64 }

type Cube struct {
	Head  uint8
	Cells [2][3][4]int16
}

type Deep struct{ Cells [1][2][1][2][1][2][1][2]uint8 }

type One struct{ Cell [1]uint32 }

type Point struct{ X, Y float32 }

type Line struct {
	From, To Point
	Width    uint8
}

type TaggedPoint struct {
	X   float64
	Tag uint8
}

type Path struct {
	Count  uint16
	Points [7]TaggedPoint
}

type Register struct {
	Control uint32
	_       [12]byte
	Status  uint32
	_       [12]byte
	Data    [8]uint8
}

type Frame struct {
	ID     uint64
	Length uint32
	_      [52]byte
}

type SensorReading struct {
	Time  uint64
	Value [3]float64
	At    [2]Point
	Inner struct {
		A uint8
		B uint16
	}
	Matrix [2][3]int16
	Name   [16]byte `datablock:",char"`
	_      [20]byte
	OK     bool `datablock:"ok"`
}

type Image struct {
	Time          uint64
	Width, Height uint32
	Pixels        [1080][1920][3]uint8
}

type Huge struct{ Cells [1 << 40]uint8 }

type level uint16

func arrays() {
	{
		type Array struct {
			Head   uint8
			Values [5]byte `datablock:",char"`
			Tail   uint8
		}
		show[Array]("array of char")
	}
	{
		type Array struct {
			Head   uint8
			Values [5]level
			Tail   uint8
		}
		show[Array]("array of u16")
	}
	{
		type Array struct {
			Head   uint8
			Values [5]bool
			Tail   uint8
		}
		show[Array]("array of bool")
	}
}

func outers() {
	{
		type Outer struct {
			Head  uint8
			Inner struct {
				A uint8
				B uint64
			}
			Tail uint8
		}
		show[Outer]("nested without a name")
	}
	{
		type Outer struct {
			A struct {
				B [2]struct {
					C struct {
						D uint8
						E uint32
					}
					F uint8
				}
				G uint16
			}
			H uint8
		}
		show[Outer]("nested three deep")
	}
}

func main() {
	show[Every]("every type")
	show[Inner]("inner padding")
	show[Tail]("tail padding")
	show[Names]("strings")
	show[Matrix]("two dimensions")
	show[Cube]("three dimensions")
	show[Deep]("eight dimensions")
	show[One]("an array of one")
	show[Line]("nested")
	show[Path]("nested in an array")
	show[Register]("explicit offset")
	show[Frame]("explicit size")
	show[SensorReading]("a sensor reading")
	show[Image]("an image")
	show[Huge]("a terabyte")
	arrays()
	outers()
}
