"""Models: embed -> blocks -> norm -> unembed, each a page made of the components."""
