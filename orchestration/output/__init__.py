"""Layer 4: from the raw cells of a computation to what receivers may see.

`cells` (the input) -> `suppression` + `bounds` (what is hidden, and the proof) -> `protect` (the table) ->
`findings`, `charts` (computed from the protected table alone) -> `shelf` (files of a release).
Import the submodules directly. Nothing here knows SQL, requests or where cells came from.
"""
