"""The site's settings; `python -m sphinx -W -b html docs docs/_build/html` builds it, offline.

That runs the notebooks. Built again, it runs those whose text has changed; with
`-D nb_execution_mode=off` it runs none, and shows none of what they draw.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE), str(HERE.parent)]

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
    "names",
    "notebooks",
    "pictures",
    "reference",
]
exclude_patterns = ["_*", "notebooks/*.ipynb"]  # a notebook is its text
nb_execution_mode = "force"
nb_execution_timeout = 300  # seconds a cell may take
nb_execution_show_tb = True
nb_merge_streams = True
nb_output_stderr = "remove-warn"  # what a reader would not want to see is not on a page unseen
nb_code_prompt_show = "The first cell installs the library where it is missing"
nb_code_prompt_hide = nb_code_prompt_show
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
autodoc_use_type_comments = False  # there are none to look for
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has them
default_role = "code"
suppress_warnings = ["ref.python"]  # of a name that two modules have; names.py leads to neither
maximum_signature_line_length = 80
python_maximum_signature_line_length = 80
add_module_names = False
copybutton_selector = ":not(.output) > div.highlight pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
