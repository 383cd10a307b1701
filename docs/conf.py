"""The site's settings; `python -m sphinx -W -b html docs docs/_build/html` builds it, offline."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "transformer"
author = "The transformer founders"
html_title = "transformer"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "accessible",
    "code",
    "docstrings",
    "mathml",
    "misconceptions",
    "pictures",
    "reference",
]
exclude_patterns = ["_*", "notebooks/*.ipynb"]  # a notebook is its text
nb_execution_mode = "off"  # pytest runs the examples; a page is not the place to find them wrong
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
napoleon_use_ivar = True
default_role = "code"
maximum_signature_line_length = 80
python_maximum_signature_line_length = 80
add_module_names = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
