"""Pictures before they are sent: looked at (`viewer`), chosen (`shown`), or served by us (`own_files`)."""
