"""Uploads a folder with hf-xet to a folder that stands for the Hub; run by the python that has hf-xet.

    xet_upload.py HUB FOLDER
"""

import os
import sys

import hf_xet

hub, folder = sys.argv[1:]
os.makedirs(hub, exist_ok=True)
files = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in sorted(names)]
files = [path for path in files if os.path.getsize(path)]
commit = hf_xet.XetSession().new_upload_commit(endpoint=f"local://{os.path.abspath(hub)}")
handles = [commit.start_upload_file(path) for path in files]
commit.wait_to_finish()
