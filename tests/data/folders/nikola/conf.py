import time

BLOG_AUTHOR = "Ada"
BLOG_TITLE = "The mill"
SITE_URL = "https://mill.example/"
POSTS = (("posts/*.md", "posts", "post.tmpl"),)
COMPILERS = {
    "rest": (".rst", ".txt"),
    "markdown": (".md", ".mdown", ".markdown"),
}
COPYRIGHT = f"© {time.gmtime().tm_year}"
